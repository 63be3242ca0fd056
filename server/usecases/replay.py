"""What a repeat of a call is told: the stored answer, or the first call's outcome once it has one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from server.domain.decline import DeclineCode
from server.domain.errors import KassaError, Reason
from server.domain.ids import random_id
from server.domain.payment import Payment, Transaction, TransactionState, TransactionType
from server.storage.answers import read_answer, refusal_of
from server.storage.claims import Replay
from server.storage.open_operations import OperationOpened, TakeUp
from server.storage.payments import PaymentStore
from server.storage.reads import get_claim, get_payment, get_transaction
from server.storage.settle import Settled
from server.usecases.answers import Answer

CarryOn = Callable[[Payment, Transaction, float], Awaitable[Settled]]
"""Is told as well until when the transaction is surely ours, on the monotonic clock."""

_LOOK_EVERY_S = 0.05


class Replays:
    """Answers repeats.

    Args:
        store: Where claims and answers are.
        wait_s: Seconds to wait for a first call that is still under way.
        lease_s: Seconds for which an attempt that is taken over belongs to us.
    """

    def __init__(self, store: PaymentStore, *, wait_s: float = 2.0, lease_s: float) -> None:
        self._store, self._wait_s, self._lease_s = store, wait_s, lease_s

    async def __call__(
        self, merchant_id: UUID, key: str, replay: Replay, carry_on: CarryOn
    ) -> Answer[Payment | Transaction]:
        """Returns the first call's answer; carries its attempt on where it was cut short.

        Args:
            carry_on: Sends the same request again under the same processor key; called only with the lease held.

        Raises:
            KassaError: The stored refusal, or REQUEST_IN_FLIGHT when the first call takes longer than we wait.
        """
        deadline = time.monotonic() + self._wait_s
        while replay.answer is None:
            transaction = await self._store.read(get_transaction, merchant_id, replay.transaction_id)
            if transaction is not None and transaction.waiting:
                return await self._as_it_stands(key, transaction)
            late = time.monotonic() >= deadline
            if transaction is not None and (late or transaction.state is TransactionState.UNKNOWN):
                return await self._take_over(key, transaction, carry_on)
            if late:
                raise in_flight()
            await asyncio.sleep(_LOOK_EVERY_S)
            found = await self._store.read(get_claim, merchant_id, key)
            # Released: nothing was done, so the same call may be made anew; another request may have the key by now.
            if found is None or found.transaction_id != replay.transaction_id:
                raise in_flight()
            replay = found
        return Answer(read_answer(replay.answer), replayed=True)

    async def _take_over(self, key: str, transaction: Transaction, carry_on: CarryOn) -> Answer[Payment | Transaction]:
        """Carries on an attempt whose process is gone; refused while its lease lasts, and where it cannot be leased."""
        row = TakeUp(transaction.merchant_id, transaction.payment_id, transaction.id, random_id(), self._lease_s)
        until = time.monotonic() + self._lease_s
        try:
            taken = await self._store.take_up(row)
        except KassaError as refusal:
            if refusal.reason is Reason.PAYMENT_STATE_INVALID:  # it ended meanwhile
                return await self._as_it_stands(key, transaction)
            raise in_flight() from None
        assert isinstance(taken, OperationOpened), "without a claim there is nothing to replay"
        return Answer(result_of(await carry_on(taken.payment, taken.transaction, until)), replayed=True)

    async def _as_it_stands(self, key: str, transaction: Transaction) -> Answer[Payment | Transaction]:
        claim = await self._store.read(get_claim, transaction.merchant_id, key)
        if claim is not None and claim.answer is not None and claim.transaction_id == transaction.id:
            return Answer(read_answer(claim.answer), replayed=True)
        now = await self._store.read(get_transaction, transaction.merchant_id, transaction.id)
        payment = await self._store.read(get_payment, transaction.merchant_id, transaction.payment_id)
        assert now is not None and payment is not None, "payments and transactions are never deleted"
        return Answer(result_of(Settled(payment, now, changed=False)), replayed=True)


def result_of(settled: Settled) -> Payment | Transaction:
    """Returns what a call's merchant is told: the payment, or the transaction for a refund.

    Raises:
        KassaError: PROCESSOR_UNAVAILABLE, PROCESSOR_REFUSED: a capture or a void did not happen.
    """
    transaction = settled.transaction
    if transaction.type is TransactionType.AUTHORIZATION:
        return settled.payment
    failure = transaction.failure
    if failure is not None and failure.code is DeclineCode.PROCESSOR_UNAVAILABLE:
        raise KassaError(
            Reason.PROCESSOR_UNAVAILABLE,
            "The processor could not be reached; nothing was done. Repeat the request with the same key.",
            metadata={"retry_after_s": "1"},
        )
    if transaction.type is TransactionType.REFUND:
        return transaction
    if transaction.state in {TransactionState.FAILED, TransactionState.CANCELLED}:
        raise refusal_of(transaction)
    return settled.payment


def in_flight() -> KassaError:
    """What a caller is told of an operation that is open and goes on without him."""
    return KassaError(
        Reason.REQUEST_IN_FLIGHT,
        "The first request with this idempotency key is still under way. Repeat it with the same key in a second.",
        metadata={"retry_after_s": "1"},
    )
