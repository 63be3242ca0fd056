"""Finds out what became of a transaction that was left open, and settles it. Called by the jobs and by webhooks.

Never by a clock: the processor is asked, again and again with growing pauses, until it knows.
"""

from enum import StrEnum
from uuid import UUID

from server.domain.errors import KassaError, Reason
from server.domain.ids import random_id
from server.domain.payment import OPEN_TRANSACTION_STATES, TransactionType
from server.storage.open_operations import OperationOpened, TakeUp
from server.storage.payments import PaymentStore
from server.usecases.act import Act
from server.usecases.follow_dispute import FollowDispute


class Recovered(StrEnum):
    """What came of an attempt."""

    SETTLED = "SETTLED"
    """It is over now."""
    STILL_OPEN = "STILL_OPEN"
    """Asked, and not over: it waits for its customer, or nobody can tell yet."""
    BUSY = "BUSY"
    """Somebody else works on it."""
    OVER = "OVER"
    """It was over before we came."""


class RecoverTransaction:
    """See the module.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
    """

    def __init__(self, store: PaymentStore, act: Act, follow: FollowDispute, *, lease_s: float) -> None:
        self._store, self._act, self._follow, self._lease_s = store, act, follow, lease_s

    async def __call__(
        self, merchant_id: UUID, payment_id: UUID, transaction_id: UUID, processor_payment_id: str | None = None
    ) -> Recovered:
        """Leases the transaction, asks its processor, and settles what is said.

        Args:
            processor_payment_id: The processor's object, where a webhook told it before our own reply came.
        """
        row = TakeUp(merchant_id, payment_id, transaction_id, random_id(), self._lease_s)
        try:
            taken = await self._store.take_up(row)
        except KassaError as refusal:
            if refusal.reason is Reason.OPERATION_IN_PROGRESS:
                return Recovered.BUSY
            if refusal.reason is Reason.PAYMENT_STATE_INVALID:
                return Recovered.OVER
            raise
        assert isinstance(taken, OperationOpened), "without a claim there is nothing to replay"
        if taken.transaction.type is TransactionType.DISPUTE:
            dispute = await self._follow.carry_on(taken.payment, taken.transaction, row.owner)
            return Recovered.SETTLED if dispute is not None and dispute.over else Recovered.STILL_OPEN
        settled = await self._act.carry_on(taken.payment, taken.transaction, processor_payment_id)
        return Recovered.STILL_OPEN if settled.transaction.state in OPEN_TRANSACTION_STATES else Recovered.SETTLED
