"""The PayPal adapter: orders, captures and refunds under our transaction ids, and disputes. `bootstrap` makes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from server.processors.contract import (
    Account,
    Authorization,
    Capture,
    DisputeAnswer,
    DisputeStanding,
    Fee,
    FraudWarning,
    Outcome,
    ProcessorEvent,
    ProcessorRejected,
    Refund,
    Totals,
    Void,
)
from server.processors.deadline import deadline
from server.processors.paypal import events
from server.processors.paypal.books import Books
from server.processors.paypal.certificates import Certificates
from server.processors.paypal.connection import PayPalConnection, Threads
from server.processors.paypal.currencies import CAPABILITIES
from server.processors.paypal.disputes import Disputes
from server.processors.paypal.endpoint import PayPalEndpoint
from server.processors.paypal.operations import Operations
from server.processors.paypal.recovery import Recovery

_CERTIFICATE_DEADLINE_S = 15.0


class PayPalProcessor:
    """See `Processor`. Credentials: `client_id`, `client_secret` and `webhook_id` (part of what PayPal signs)."""

    def __init__(self, endpoint: PayPalEndpoint) -> None:
        self.name = "paypal"
        self.credential_names: tuple[str, ...] = ("client_id", "client_secret", "webhook_id")
        self.capabilities = CAPABILITIES
        self._deadline_s = endpoint.deadline_s
        self._connection = PayPalConnection(endpoint)
        self._operations = Operations(self._connection)
        self._recovery = Recovery(self._connection, self._operations)
        self._disputes = Disputes(self._connection)
        self._books = Books(self._connection)
        self._certificates = Certificates(endpoint)
        # Apart from payments: whoever sends forged webhooks must not take their threads.
        self._certificate_threads = Threads("paypal-certificates", threads=2, max_queued=16)

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        return await self._operations.create(account, request)

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        async with deadline(self._deadline_s, self.name):
            return await self._recovery.complete(account, request)

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """See `Processor`."""
        return await self._operations.capture(account, request)

    async def void(self, account: Account, request: Void) -> Outcome:
        """See `Processor`."""
        async with deadline(self._deadline_s, self.name):
            return await self._operations.void(account, request)

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """See `Processor`."""
        return await self._operations.refund(account, request)

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """See `Processor`."""
        async with deadline(self._deadline_s, self.name):
            return await self._recovery.resolve(account, request)

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> DisputeStanding:
        """See `Processor`."""
        return await self._disputes.read(account, processor_dispute_id)

    async def list_disputes(self, account: Account, since: datetime) -> Sequence[str]:
        """See `Processor`."""
        return await self._disputes.opened_since(account, since)

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """See `Processor`."""
        async with deadline(self._deadline_s, self.name):
            return await self._disputes.answer(account, answer)

    async def read_warning(self, account: Account, processor_warning_id: str) -> FraudWarning:
        """See `Processor`. PayPal tells of no warnings before a dispute."""
        raise ProcessorRejected("warnings_not_known")

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        """See `Processor`."""
        return await self._books.fee(account, capture_id)

    async def read_totals(self, account: Account, processor_payment_id: str) -> Totals:
        """See `Processor`."""
        return await self._books.totals(account, processor_payment_id)

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """See `Processor`. Raises `ProcessorUnavailable` where the certificate cannot be had: PayPal sends again."""
        signature = events.read_headers(headers)
        address = signature.certificate_address
        key = self._certificates.kept(address, test_mode=account.test_mode)
        if key is None:
            key = await self._certificate_threads.run(
                lambda: self._certificates.fetch(address, test_mode=account.test_mode), _CERTIFICATE_DEADLINE_S
            )
        events.verify(signature, key, account.credentials["webhook_id"], body)
        return events.parse(body)

    async def close(self) -> None:
        """See `Processor`."""
        self._certificate_threads.close()
        await self._connection.close()
