"""Carries out the defaults of reviews that nobody decided in time. Called by the worker's sweep.

The default goes the analysts' own way, in the payment's one slot, so whoever is quicker decides and money moves once.
"""

import asyncio
import logging
from uuid import UUID

from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id, random_id
from server.domain.payment import Payment, TransactionState, TransactionType
from server.domain.review import Review, Ruling, Through
from server.storage.approve_reviews import ApproveReview
from server.storage.open_operations import OpenOperation, OperationOpened
from server.storage.payments import PaymentStore
from server.storage.reads import list_transactions
from server.storage.reviews import take_due_reviews
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Act
from server.usecases.decide_review import REJECTED, operation_for
from server.usecases.operate import find_payment
from server.usecases.side_by_side import side_by_side

_log = logging.getLogger(__name__)

_FIRST, _SOME = UUID(int=0), 100
_OVERTAKEN = frozenset({Reason.OPERATION_IN_PROGRESS, Reason.REVIEW_CLOSED})


class DecideOverdueReviews:
    """See the module.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
        chunk: How many reviews are taken up at once; `at_once` of them are worked on at the same time.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, act: Act, *,
        lease_s: float, chunk: int = 200, at_once: int = 20,
    ) -> None:  # fmt: skip
        self._store, self._transactions, self._act, self._lease_s = store, transactions, act, lease_s
        self._chunk, self._at_once, self._deciding = chunk, at_once, asyncio.Lock()

    async def __call__(self) -> int:
        """Decides what is overdue; returns how many reviews there were. What fails comes again after a pause."""
        if self._deciding.locked():
            return 0
        async with self._deciding:
            due = await self._transactions.run(take_due_reviews, self._chunk)
            await side_by_side(due, self._decide, self._at_once)
            return len(due)

    async def _decide(self, review: Review) -> None:
        payment = await find_payment(self._store, review.merchant_id, review.payment_id)
        ruling = Ruling(review.default_verdict, Through.DEADLINE)
        kind = operation_for(payment, ruling.verdict)
        try:
            if kind is None:
                await self._store.approve_review(ApproveReview(payment.merchant_id, payment.id, ruling))
            else:
                await self._operate(payment, kind, ruling)
        except KassaError as refusal:
            if refusal.reason not in _OVERTAKEN:
                raise

    async def _operate(self, payment: Payment, kind: TransactionType, ruling: Ruling) -> None:
        reason = REJECTED if kind is TransactionType.VOID else ""
        row = OpenOperation(
            payment.merchant_id, payment.id, new_id(), kind, None, reason, random_id(), self._lease_s, ruling=ruling
        )
        opened = await self._store.open_operation(row)
        assert isinstance(opened, OperationOpened), "without a claim there is nothing to replay"
        settled = await self._act.follow_up(opened.payment, opened.transaction)
        if settled.transaction.state is TransactionState.FAILED:
            _log.warning("the default of the review of payment %s is refused by its processor", payment.id)
            await self._read_again(settled.payment)  # it may have been captured there, or let go

    async def _read_again(self, payment: Payment) -> None:
        found = await self._store.read(list_transactions, payment.merchant_id, payment.id, _FIRST, _SOME)
        authorization = next(one for one in found if one.type is TransactionType.AUTHORIZATION)
        await self._act.read_again(payment, authorization)
