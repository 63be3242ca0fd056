"""What capture, cancel and refund share: read, claim and open, act, settle, answer. Called by those three."""

import time
from uuid import UUID

from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id, random_id
from server.domain.payment import Payment, Transaction, TransactionType
from server.domain.review import Ruling
from server.storage.claims import Claim, Replay
from server.storage.open_operations import OpenOperation, OperationOpened
from server.storage.payments import PaymentStore
from server.storage.reads import get_payment
from server.usecases.act import Act
from server.usecases.answers import Answer, Caller
from server.usecases.idempotency import RequestHasher
from server.usecases.patience import when_free
from server.usecases.replay import Replays, result_of
from server.usecases.shielding import Shield


class Operate:
    """Does one operation on a payment for one key, however often it is called.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
    """

    def __init__(
        self, store: PaymentStore, act: Act, replays: Replays, hasher: RequestHasher, shield: Shield, *, lease_s: float
    ) -> None:
        self._store, self._act, self._replays, self._hasher, self._shield = store, act, replays, hasher, shield
        self._lease_s = lease_s

    async def __call__(
        self, caller: Caller, key: str, payment_id: UUID, kind: TransactionType, amount: int | None, reason: str,
        ruling: Ruling | None = None,
    ) -> Answer[Payment | Transaction]:  # fmt: skip
        """Opens, acts and settles.

        Args:
            amount: Minor units; None means all there is.
            reason: Kept with the transaction.
            ruling: Who decides the payment's review by it; None where its merchant does.

        Returns:
            The payment, or the transaction for a refund.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, a guard of `domain.operations` or `domain.review`, PROCESSOR_REFUSED,
                PROCESSOR_UNAVAILABLE, or what a repeat may be told.
        """
        fields: dict[str, object] = {"payment_id": payment_id, "amount": amount, "reason": reason}
        if ruling is not None:
            fields["ruling"] = ruling
        claim = Claim(
            merchant_id=caller.merchant_id,
            key=key,
            attempt_id=random_id(),
            request_hash=self._hasher.hash(kind.value, fields),
            payment_id=payment_id,
            transaction_id=new_id(),
            request_id=caller.request_id,
        )
        row = OpenOperation(
            claim.merchant_id, payment_id, claim.transaction_id, kind, amount, reason, random_id(), self._lease_s,
            claim, ruling,
        )  # fmt: skip
        return await self._shield.run(self._do(row, claim))

    async def _do(self, row: OpenOperation, claim: Claim) -> Answer[Payment | Transaction]:
        opened, until = await when_free(lambda: self._open(row))
        if isinstance(opened, Replay):
            return await self._replays(claim.merchant_id, claim.key, opened, lambda p, t, _: self._act.carry_on(p, t))
        settled = await self._act.follow_up(opened.payment, opened.transaction, until=until)
        return Answer(result_of(settled))

    async def _open(self, row: OpenOperation) -> tuple[OperationOpened | Replay, float]:
        """Opens it; returns as well until when it is surely ours."""
        until = time.monotonic() + self._lease_s
        return await self._store.open_operation(row), until


async def find_payment(store: PaymentStore, merchant_id: UUID, payment_id: UUID) -> Payment:
    """Reads a merchant's payment.

    Raises:
        KassaError: PAYMENT_NOT_FOUND, also for somebody else's.
    """
    payment = await store.read(get_payment, merchant_id, payment_id)
    if payment is None:
        raise KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment.")
    return payment
