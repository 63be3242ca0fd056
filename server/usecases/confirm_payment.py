"""Carries a payment on after its customer has acted: 3-D Secure, a wallet's approval, a redirect."""

from uuid import UUID

from server.domain.ids import new_id, random_id
from server.domain.payment import Payment, TransactionType
from server.storage.claims import Claim, Replay
from server.storage.open_operations import Over, TakeUp
from server.storage.payments import PaymentStore
from server.storage.reads import list_transactions
from server.usecases.act import Act
from server.usecases.answers import Answer, Caller
from server.usecases.idempotency import RequestHasher
from server.usecases.operate import find_payment
from server.usecases.patience import when_free
from server.usecases.replay import Replays
from server.usecases.shielding import Shield

_FIRST, _SOME = UUID(int=0), 100


class ConfirmPayment:
    """See the module.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
    """

    def __init__(
        self, store: PaymentStore, act: Act, replays: Replays, hasher: RequestHasher, shield: Shield, *, lease_s: float
    ) -> None:
        self._store, self._act, self._replays, self._hasher, self._shield = store, act, replays, hasher, shield
        self._lease_s = lease_s

    async def __call__(self, caller: Caller, key: str, payment_id: UUID) -> Answer[Payment]:
        """Asks the processor how the payment stands and takes the step that the customer has made possible.

        Returns:
            The payment; still PENDING when the customer has not acted yet, and as it stands when a webhook was quicker.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, PAYMENT_STATE_INVALID, OPERATION_IN_PROGRESS, or what a repeat may be told.
        """
        payment = await find_payment(self._store, caller.merchant_id, payment_id)
        found = await self._store.read(list_transactions, caller.merchant_id, payment_id, _FIRST, _SOME)
        # A payment that was blocked has no authorization; its confirmation is refused after the claim.
        authorizations = [one.id for one in found if one.type is TransactionType.AUTHORIZATION]
        claim = Claim(
            merchant_id=caller.merchant_id,
            key=key,
            attempt_id=random_id(),
            request_hash=self._hasher.hash("ConfirmPayment", {"payment_id": payment_id}),
            payment_id=payment_id,
            transaction_id=authorizations[0] if authorizations else new_id(),
            request_id=caller.request_id,
        )
        row = TakeUp(payment.merchant_id, payment.id, None, random_id(), self._lease_s, claim)
        return await self._shield.run(self._confirm(row, claim))

    async def _confirm(self, row: TakeUp, claim: Claim) -> Answer[Payment]:
        taken = await when_free(lambda: self._store.take_up(row))
        if isinstance(taken, Replay):
            answer = await self._replays(claim.merchant_id, claim.key, taken, lambda p, t, _: self._act.carry_on(p, t))
            assert isinstance(answer.value, Payment)
            return Answer(answer.value, answer.replayed)
        if isinstance(taken, Over):
            return Answer(taken.payment)
        assert taken.transaction.type is TransactionType.AUTHORIZATION
        settled = await self._act.carry_on(taken.payment, taken.transaction)
        return Answer(settled.payment)
