"""Handles a stored webhook. It moves no money: it only says which payment to ask the processor about again.

Called when a webhook arrives, and by the sweep for those that could not be handled then.
"""

import logging

from server.domain.errors import KassaError
from server.domain.outcome import ActionRequired, Approved, Pending
from server.domain.payment import Payment, State, Transaction, TransactionState, TransactionType
from server.processors.contract import OutcomeUnknown, ProcessorRejected, ProcessorUnavailable, Subject
from server.processors.exchanges import recording
from server.storage.external_refunds import ExternalRefund
from server.storage.fraud_warnings import WarnOfFraud
from server.storage.payments import PaymentStore
from server.storage.processor_events import (
    Owner,
    StoredEvent,
    find_object,
    find_owner,
    mark_handled,
    postpone_event,
)
from server.storage.reads import get_payment, get_transaction
from server.storage.recovery import open_transactions
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Act
from server.usecases.follow_dispute import FollowDispute
from server.usecases.recover_transaction import Recovered, RecoverTransaction

_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 600.0
_SEARCHES = 14
"""An event may overtake our own record of its object; after so many looks, over an hour, it is somebody else's."""
_log = logging.getLogger(__name__)


class HandleEvent:
    """See the module."""

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, act: Act, follow: FollowDispute,
        recover: RecoverTransaction,
    ) -> None:  # fmt: skip
        self._store, self._transactions = store, transactions
        self._act, self._follow, self._recover = act, follow, recover

    async def __call__(self, event: StoredEvent) -> None:
        """Brings the event's payment up to date with its processor, and marks the event handled.

        An event that cannot be handled now, for whatever reason, stays for the sweep, each time a little longer.
        """
        owner: Owner | None = None
        try:
            owner = await self._owner(event)
            result, over = await self._handle(event, owner)
        except (KassaError, OutcomeUnknown, ProcessorUnavailable, ProcessorRejected) as trouble:
            _log.warning("event %s waits: %s: %s", event.event_id, type(trouble).__name__, trouble)
            result, over = type(trouble).__name__, False
        except Exception as defect:
            await self._later(event, type(defect).__name__, owner)
            raise
        await (self._done(event, result, owner) if over else self._later(event, result, owner))

    async def _owner(self, event: StoredEvent) -> Owner | None:
        return None if event.subject == Subject.OTHER else await self._store.read(find_owner, event)

    async def _handle(self, event: StoredEvent, owner: Owner | None) -> tuple[str, bool]:
        """Returns in a word what came of the event, and whether it is over."""
        about = {
            Subject.PAYMENT: self._payment,
            Subject.REFUND: self._refund,
            Subject.DISPUTE: self._dispute,
            Subject.WARNING: self._warning,
        }
        handle = about.get(Subject(event.subject))
        if handle is None:
            return "NOTHING_TO_DO", True
        if owner is None:
            return "UNKNOWN_PAYMENT", event.attempts >= _SEARCHES
        over = await handle(event, owner)
        return ("HANDLED", True) if over else ("BUSY", False)

    async def _payment(self, event: StoredEvent, owner: Owner) -> bool:
        """Asks about everything that is open on the payment; False while somebody else works on it."""
        found = await self._store.read(open_transactions, owner.merchant_id, owner.payment_id)
        for one in found:
            known = event.processor_payment_id or None
            result = await self._recover(one.merchant_id, one.payment_id, one.transaction_id, known)
            if result is Recovered.BUSY:
                return False
        return True if found else await self._compare(owner)

    async def _compare(self, owner: Owner) -> bool:
        """Reads an authorization again that is over here: the processor may have done otherwise since.

        It may have charged what we hold for failed; or somebody has captured or voided in its dashboard what we hold
        for authorized.

        Returns:
            False while somebody else works on the payment.
        """
        payment, transaction = await self._as_they_stand(owner)
        held = payment.state in {State.AUTHORIZED, State.IN_REVIEW}
        failed = transaction.state in {TransactionState.FAILED, TransactionState.CANCELLED}
        if transaction.type is TransactionType.AUTHORIZATION and payment.processor_payment_id and (held or failed):
            settled = await self._act.read_again(payment, transaction)
            return not settled.busy
        return True

    async def _refund(self, event: StoredEvent, owner: Owner) -> bool:
        payment, transaction = await self._as_they_stand(owner)
        if transaction.type is not TransactionType.REFUND:
            return await self._external_refund(event, payment, transaction)
        result = await self._recover(transaction.merchant_id, transaction.payment_id, transaction.id)
        if result is Recovered.OVER:
            # Read again here, too: what ended it meanwhile has learnt the refund's id.
            settled = await self._act.read_again(*await self._as_they_stand(owner))
            return not settled.busy
        return result is not Recovered.BUSY

    async def _external_refund(self, event: StoredEvent, payment: Payment, found: Transaction) -> bool:
        """Books a refund that none of our transactions asked for, once the processor itself confirms it.

        It may have failed between the processor's word and our booking, and the event that tells so found nothing to
        put right: so a refund that is booked is read once more, as our own are.
        """
        if not event.processor_object_id:
            return True  # without its id there is nothing to read, and an event alone moves no money
        with recording() as calls:
            refund = await self._act.read_refund(payment, found, event.processor_object_id)
        if isinstance(refund, Approved):
            row = ExternalRefund(
                payment.merchant_id,
                payment.id,
                event.processor_object_id,
                refund.amount,
                refund.currency,
                refund.fee,
                tuple(calls),
            )
            await self._store.book_refund(row)
            # By its own id: the event may refer to the transaction that was charged.
            booked = await self._store.read(find_object, event.account_id, [event.processor_object_id])
            assert booked is not None, "a booked refund is known by its id"
            settled = await self._act.read_again(*await self._as_they_stand(booked))
            return not settled.busy
        return not isinstance(refund, Pending | ActionRequired)

    async def _dispute(self, event: StoredEvent, owner: Owner) -> bool:
        """Reads the dispute. A charge whose reply we have not got yet is found out first, so that its books begin."""
        payment = await self._store.read(get_payment, owner.merchant_id, owner.payment_id)
        assert payment is not None, "payments are never deleted"
        if payment.amount_captured == 0:
            for one in await self._store.read(open_transactions, owner.merchant_id, owner.payment_id):
                if await self._recover(one.merchant_id, one.payment_id, one.transaction_id) is Recovered.BUSY:
                    return False
        await self._follow.read(payment, event.processor_object_id)
        return True

    async def _warning(self, event: StoredEvent, owner: Owner) -> bool:
        """Reads the warning, and marks the payment that it is truly about."""
        payment = await self._store.read(get_payment, owner.merchant_id, owner.payment_id)
        assert payment is not None, "payments are never deleted"
        with recording() as calls:
            warning = await self._act.read_warning(payment, event.processor_object_id)
        found = await self._store.read(find_object, event.account_id, warning.processor_object_ids)
        if found is None or found.payment_id != payment.id:
            raise OutcomeUnknown("the warning is about another payment")
        await self._store.warn(WarnOfFraud(payment.merchant_id, payment.id, warning.kind, tuple(calls)))
        return True

    async def _as_they_stand(self, owner: Owner) -> tuple[Payment, Transaction]:
        payment = await self._store.read(get_payment, owner.merchant_id, owner.payment_id)
        transaction = await self._store.read(get_transaction, owner.merchant_id, owner.transaction_id)
        assert transaction is not None and payment is not None, "payments and transactions are never deleted"
        return payment, transaction

    async def _done(self, event: StoredEvent, result: str, owner: Owner | None) -> None:
        await self._transactions.run(mark_handled, event, result, owner)

    async def _later(self, event: StoredEvent, result: str, owner: Owner | None) -> None:
        pause_s = min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** min(event.attempts, 12))
        await self._transactions.run(postpone_event, event, result, pause_s, owner)
