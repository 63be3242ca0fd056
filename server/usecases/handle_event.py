"""Handles a stored webhook. It moves no money: it only says which payment to ask the processor about again.

Called when a webhook arrives, and by the sweep for those that could not be handled then.
"""

import asyncio

from server.domain.payment import (
    Payment,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.processors.contract import Subject
from server.storage.external_refunds import ExternalRefund
from server.storage.payments import PaymentStore
from server.storage.processor_events import (
    Owner,
    ProcessorEvents,
    StoredEvent,
    find_owner,
)
from server.storage.reads import get_payment, get_transaction
from server.storage.recovery import open_transactions
from server.usecases.act import Act
from server.usecases.recover_transaction import Recovered, RecoverTransaction

_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 600.0
_SEARCHES = 6
"""An event may overtake our own record of its object; after so many looks it is somebody else's."""


class HandleEvent:
    """See the module."""

    def __init__(self, store: PaymentStore, events: ProcessorEvents, act: Act, recover: RecoverTransaction) -> None:
        self._store, self._events, self._act, self._recover = store, events, act, recover

    async def __call__(self, event: StoredEvent) -> None:
        """Brings the event's payment up to date with its processor, and marks the event handled.

        An event whose payment is unknown or busy stays for the sweep.
        """
        if event.subject not in {Subject.PAYMENT, Subject.REFUND}:
            return await self._done(event, "NOT_OURS_TO_HANDLE")
        owner = await self._store.read(find_owner, event)
        if owner is None:
            if event.attempts >= _SEARCHES:
                return await self._done(event, "UNKNOWN_PAYMENT")
            return await self._later(event, "UNKNOWN_PAYMENT")
        is_refund = event.subject == Subject.REFUND
        over = await (self._refund(event, owner) if is_refund else self._payment(event, owner))
        return await (self._done(event, "HANDLED") if over else self._later(event, "BUSY"))

    async def _payment(self, event: StoredEvent, owner: Owner) -> bool:
        """Asks about everything that is open on the payment; False while somebody else works on it."""
        found = await self._store.read(open_transactions, owner.merchant_id, owner.payment_id)
        for one in found:
            known = event.processor_payment_id or None
            result = await self._recover(one.merchant_id, one.payment_id, one.transaction_id, known)
            if result is Recovered.BUSY:
                return False
        if not found:
            await self._compare(owner)
        return True

    async def _compare(self, owner: Owner) -> None:
        """Reads a failed authorization again: the processor may have charged what we hold for failed."""
        transaction = await self._store.read(get_transaction, owner.merchant_id, owner.transaction_id)
        payment = await self._store.read(get_payment, owner.merchant_id, owner.payment_id)
        assert transaction is not None and payment is not None, "payments and transactions are never deleted"
        if transaction.state is TransactionState.FAILED and payment.processor_payment_id:
            await self._act.read_again(payment, transaction)

    async def _refund(self, event: StoredEvent, owner: Owner) -> bool:
        payment = await self._store.read(get_payment, owner.merchant_id, owner.payment_id)
        transaction = await self._store.read(get_transaction, owner.merchant_id, owner.transaction_id)
        assert transaction is not None and payment is not None, "payments and transactions are never deleted"
        if transaction.type is not TransactionType.REFUND:
            return await self._external_refund(event, payment, transaction)
        result = await self._recover(transaction.merchant_id, transaction.payment_id, transaction.id)
        if result is Recovered.OVER:
            await self._act.read_again(payment, transaction)
        return result is not Recovered.BUSY

    async def _external_refund(self, event: StoredEvent, payment: Payment, found: Transaction) -> bool:
        """Books a refund that none of our transactions asked for, once the processor itself confirms it."""
        refund = await self._act.read_refund(payment, found, event.processor_object_id)
        if refund is None:
            return True
        row = ExternalRefund(payment.merchant_id, payment.id, event.processor_object_id, *refund)
        await self._store.book_refund(row)
        return True

    async def _done(self, event: StoredEvent, result: str) -> None:
        await asyncio.to_thread(self._events.mark_handled, event, result)

    async def _later(self, event: StoredEvent, result: str) -> None:
        pause_s = min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** min(event.attempts, 12))
        await asyncio.to_thread(self._events.postpone, event, result, pause_s)
