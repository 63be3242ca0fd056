"""Steps four and five of every operation: one call to the processor, then the settlement of whatever came back."""

import logging
import time
from collections.abc import Awaitable
from dataclasses import replace
from math import inf
from typing import Protocol, assert_never
from uuid import UUID

from server.domain.errors import KassaError, Reason
from server.domain.expiry import PATIENCE, Lifetimes
from server.domain.outcome import Finding, NotSent, Rejected, Unknown
from server.domain.payment import Payment, Transaction, TransactionType
from server.processors.contract import (
    Account,
    Authorization,
    Capture,
    FraudWarning,
    Instrument,
    Outcome,
    OutcomeUnknown,
    Processor,
    ProcessorRejected,
    ProcessorUnavailable,
    Refund,
    Void,
)
from server.processors.exchanges import recording
from server.storage.payments import PaymentStore
from server.storage.settle import Settle, Settled
from server.usecases.processor_requests import authorization_request, follow_up_request
from server.usecases.replay import in_flight

_log = logging.getLogger(__name__)


class Accounts(Protocol):
    """Where processor accounts are looked up; secrets stay inside."""

    async def for_merchant(self, merchant_id: UUID, processor: str) -> Account:
        """The merchant's own account, else the platform's."""

    async def by_id(self, account_id: UUID) -> Account:
        """Any account by its id."""


class Processors(Protocol):
    """Where adapters are looked up."""

    def get(self, name: str) -> Processor:
        """The adapter of a processor."""


class Act:
    """Asks the processor about an opened transaction and settles the answer. The lease must be ours.

    Args:
        patience: How long payments may wait at most; a processor that holds funds for a shorter time narrows it.
    """

    def __init__(
        self, store: PaymentStore, accounts: Accounts, processors: Processors, patience: Lifetimes = PATIENCE
    ) -> None:
        self._store, self._accounts, self._processors, self._patience = store, accounts, processors, patience

    async def authorize(
        self, payment: Payment, transaction: Transaction, instrument: Instrument, holder: str = "",
        *, until: float = inf,
    ) -> Settled:  # fmt: skip
        """Sends a first authorization.

        Args:
            until: When the lease may be over, on the monotonic clock: from then on nothing is sent.

        Raises:
            KassaError: REQUEST_IN_FLIGHT: it was not sent, and recovery finds out what stands.
        """
        account, processor = await self._reach_in_time(payment, until)
        request = authorization_request(payment, transaction, instrument, holder)
        return await self._settle(transaction, processor.authorize(account, request))

    async def repeat(
        self, payment: Payment, transaction: Transaction, instrument: Instrument, holder: str = "",
        *, until: float = inf,
    ) -> Settled:  # fmt: skip
        """Carries on an authorization that was cut short and whose client has come back with the instrument.

        The adapter reads the object where it is known, and repeats under the same key only while that key lives. For
        `until` see `authorize`.
        """
        account, processor = await self._reach_in_time(payment, until)
        request = authorization_request(payment, transaction, instrument, holder)
        return await self._settle(transaction, processor.resolve(account, request))

    async def follow_up(self, payment: Payment, transaction: Transaction, *, until: float = inf) -> Settled:
        """Sends a capture, void or refund for the first time; for `until` see `authorize`."""
        account, processor = await self._reach_in_time(payment, until)
        return await self._settle(transaction, _send(processor, account, follow_up_request(payment, transaction)))

    async def carry_on(
        self, payment: Payment, transaction: Transaction, processor_payment_id: str | None = None
    ) -> Settled:
        """Finds out how an open transaction stands, and takes the step that its customer has made possible.

        Args:
            processor_payment_id: The processor's object, where a webhook told it before our own reply came.
        """
        account, processor = await self._reach(payment)
        request = follow_up_request(payment, transaction)
        if isinstance(request, Authorization) and (known := request.processor_payment_id or processor_payment_id):
            completion = replace(request, processor_payment_id=known)
            return await self._settle(transaction, processor.complete(account, completion))
        return await self._settle(transaction, processor.resolve(account, request))

    async def read_again(self, payment: Payment, transaction: Transaction) -> Settled:
        """Holds a transaction that is over against the processor's present word, which may contradict it.

        Raises:
            OutcomeUnknown: The processor could not say; for what is over, that is no finding.
        """
        account, processor = await self._reach(payment)
        with recording() as calls:
            outcome = await processor.resolve(account, follow_up_request(payment, transaction))
        row = Settle(transaction.merchant_id, transaction.payment_id, transaction.id, outcome, tuple(calls))
        return await self._store.settle(row)

    async def read_refund(self, payment: Payment, transaction: Transaction, processor_refund_id: str) -> Outcome:
        """Reads a refund that none of our transactions asked for, by the processor's id of it.

        Raises:
            OutcomeUnknown, ProcessorUnavailable, ProcessorRejected: The processor could not say.
        """
        account, processor = await self._reach(payment)
        ours = replace(transaction, type=TransactionType.REFUND, processor_transaction_id=processor_refund_id)
        assert processor_refund_id, "without an id `resolve` would repeat a refund instead of reading one"
        return await processor.resolve(account, follow_up_request(payment, ours))

    async def read_warning(self, payment: Payment, processor_warning_id: str) -> FraudWarning:
        """Reads an early fraud warning about a payment.

        Raises:
            OutcomeUnknown, ProcessorUnavailable, ProcessorRejected: The processor could not say.
        """
        account, processor = await self._reach(payment)
        return await processor.read_warning(account, processor_warning_id)

    async def _reach(self, payment: Payment) -> tuple[Account, Processor]:
        return await self._accounts.by_id(payment.processor_account_id), self._processors.get(payment.processor)

    async def _reach_in_time(self, payment: Payment, until: float) -> tuple[Account, Processor]:
        """Reaches for what is open: a database that is away, or slow, by now does not undo it, and recovery has it."""
        try:
            found = await self._reach(payment)
        except KassaError as trouble:
            if trouble.reason is not Reason.SERVICE_UNAVAILABLE:
                raise
            raise in_flight() from trouble
        if time.monotonic() >= until:
            raise in_flight()
        return found

    async def _settle(self, transaction: Transaction, call: Awaitable[Outcome]) -> Settled:
        with recording() as calls:
            finding = await _find(call)
        held = self._processors.get(transaction.processor).capabilities.authorization_lifetime
        row = Settle(
            transaction.merchant_id,
            transaction.payment_id,
            transaction.id,
            finding,
            tuple(calls),
            self._patience.within(held),
            transaction.attempts,
        )
        return await self._store.settle(row)


def _send(
    processor: Processor, account: Account, request: Authorization | Capture | Void | Refund
) -> Awaitable[Outcome]:
    match request:
        case Authorization():
            raise AssertionError("an authorization is sent with its instrument, by `authorize`")
        case Capture():
            return processor.capture(account, request)
        case Void():
            return processor.void(account, request)
        case Refund():
            return processor.refund(account, request)
        case _:
            assert_never(request)


async def _find(call: Awaitable[Outcome]) -> Finding:
    """Waits for the processor's word, and says what it means that there is none."""
    try:
        return await call
    except OutcomeUnknown:
        return Unknown()
    except ProcessorUnavailable:
        return NotSent()
    except ProcessorRejected as rejected:
        _log.warning("processor rejected our request: %s", rejected.code)
        return Rejected(rejected.code)
