"""Calls off a payment whose time is over: a hold that nobody captured, a page that no customer came to.

It opens an ordinary void, in the same slot as its merchant's own operations, so a capture and its expiry exclude each
other; and only the processor's word ends the payment. Called by the sweep.
"""

from uuid import UUID

from server.domain.attention import AttentionKind
from server.domain.decline import DeclineCode
from server.domain.errors import KassaError, Reason
from server.domain.expiry import EXPIRED, waits, waits_for_customer
from server.domain.ids import new_id, random_id
from server.domain.payment import Payment, Transaction, TransactionState, TransactionType
from server.storage.attention import Attention, insert_attention
from server.storage.deadlines import Deadline, forget_deadline
from server.storage.open_operations import OpenOperation, OperationOpened
from server.storage.payments import PaymentStore
from server.storage.reads import list_transactions
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Act
from server.usecases.operate import find_payment
from server.usecases.recover_transaction import RecoverTransaction

_FIRST, _SOME = UUID(int=0), 100


class ExpirePayment:
    """See the module.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, act: Act, recover: RecoverTransaction, *,
        lease_s: float,
    ) -> None:  # fmt: skip
        self._store, self._transactions, self._act, self._recover = store, transactions, act, recover
        self._lease_s = lease_s

    async def __call__(self, due: Deadline) -> None:
        """Calls the payment off, or drops the deadline of one that has moved on; whatever fails comes again later."""
        payment = await find_payment(self._store, due.merchant_id, due.payment_id)
        if waits_for_customer(payment):
            # The news of an approval may have been lost: whoever approved in time shall not be called off.
            await self._ask_again(payment)
            payment = await find_payment(self._store, due.merchant_id, due.payment_id)
            if not waits_for_customer(payment):
                return await self._forget_if_moved(payment)
        if waits(payment):
            payment = await self._call_off(payment, due)
        return await self._forget_if_moved(payment)

    async def _call_off(self, payment: Payment, due: Deadline) -> Payment:
        opened = await self._open_void(payment)
        if opened is None:
            return payment
        settled = await self._act.follow_up(opened.payment, opened.transaction)
        if settled.transaction.state is not TransactionState.FAILED:
            return settled.payment
        await self._ask_again(settled.payment)  # the processor may have captured it, or let it go
        payment = await find_payment(self._store, payment.merchant_id, payment.id)
        if waits(payment):
            await self._tell(payment, settled.transaction, due)
        return payment

    async def _open_void(self, payment: Payment) -> OperationOpened | None:
        """Opens a void of nobody's claim; None while another operation is under way or has just ended the wait."""
        row = OpenOperation(
            payment.merchant_id, payment.id, new_id(), TransactionType.VOID, None, EXPIRED, random_id(), self._lease_s
        )
        try:
            opened = await self._store.open_operation(row)
        except KassaError as refusal:
            if refusal.reason in {Reason.OPERATION_IN_PROGRESS, Reason.PAYMENT_STATE_INVALID}:
                return None
            raise
        assert isinstance(opened, OperationOpened), "without a claim there is nothing to replay"
        return opened

    async def _ask_again(self, payment: Payment) -> None:
        """Asks the processor how the authorization stands, and settles what it says."""
        authorization = await self._authorization(payment)
        if waits_for_customer(payment):
            await self._recover(payment.merchant_id, payment.id, authorization.id)
        else:
            await self._act.read_again(payment, authorization)

    async def _authorization(self, payment: Payment) -> Transaction:
        found = await self._store.read(list_transactions, payment.merchant_id, payment.id, _FIRST, _SOME)
        return next(one for one in found if one.type is TransactionType.AUTHORIZATION)

    async def _tell(self, payment: Payment, void: Transaction, due: Deadline) -> None:
        """Opens an item for people, unless nothing had reached the processor."""
        failure = void.failure
        assert failure is not None, "a failed transaction says why"
        if failure.code is DeclineCode.PROCESSOR_UNAVAILABLE:
            return
        why = failure.decline_code or failure.code.value
        told = f"its time was over at {due.expires_at:%Y-%m-%d %H:%M} UTC, and the processor does not cancel it: {why}"
        authorization = await self._authorization(payment)
        item = Attention(payment.merchant_id, payment.id, authorization.id, AttentionKind.NOT_CANCELLED, told)
        await self._transactions.run(insert_attention, [item])

    async def _forget_if_moved(self, payment: Payment) -> None:
        if not waits(payment):
            await self._transactions.run(forget_deadline, payment.merchant_id, payment.id)
