"""The Stripe adapter: payment intents and refunds under our transaction ids, and disputes. `bootstrap` makes it."""

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
    Refund,
    Totals,
    Void,
)
from server.processors.deadline import deadline
from server.processors.stripe import events
from server.processors.stripe.books import Books
from server.processors.stripe.connection import StripeConnection
from server.processors.stripe.currencies import CAPABILITIES
from server.processors.stripe.disputes import Disputes
from server.processors.stripe.endpoint import StripeEndpoint
from server.processors.stripe.operations import Operations
from server.processors.stripe.recovery import Recovery


class StripeProcessor:
    """See `Processor`. Credentials: `secret_key` (`sk_…`) and `webhook_secret` (`whsec_…`)."""

    def __init__(self, endpoint: StripeEndpoint) -> None:
        self.name = "stripe"
        self.credential_names: tuple[str, ...] = ("secret_key", "webhook_secret")
        self.capabilities = CAPABILITIES
        self._deadline_s = endpoint.deadline_s
        self._connection = StripeConnection(endpoint)
        self._operations = Operations(self._connection)
        self._recovery = Recovery(self._connection, self._operations)
        self._disputes = Disputes(self._connection)
        self._books = Books(self._connection)

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        return await self._operations.authorize(account, request)

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        async with deadline(self._deadline_s, self.name):
            return await self._recovery.complete(account, request)

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """See `Processor`."""
        return await self._operations.capture(account, request)

    async def void(self, account: Account, request: Void) -> Outcome:
        """See `Processor`."""
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
        """See `Processor`."""
        return await self._disputes.warning(account, processor_warning_id)

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        """See `Processor`. An intent is captured once, so its charge is the capture."""
        return await self._books.fee(account, processor_payment_id)

    async def read_totals(self, account: Account, processor_payment_id: str) -> Totals:
        """See `Processor`."""
        async with deadline(self._deadline_s, self.name):
            return await self._books.totals(account, processor_payment_id)

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """See `Processor`."""
        return events.parse(account.credentials["webhook_secret"], headers.get("stripe-signature"), body)

    async def close(self) -> None:
        """See `Processor`."""
        await self._connection.close()
