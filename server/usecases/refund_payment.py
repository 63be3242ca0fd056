"""Returns captured funds, in part or whole, as often as there is something left."""

from uuid import UUID

from server.domain.payment import RefundReason, Transaction, TransactionType
from server.processors.capabilities import require
from server.storage.payments import PaymentStore
from server.usecases.answers import Answer, Caller
from server.usecases.create_payment import Routing
from server.usecases.operate import Operate, find_payment


class RefundPayment:
    """See the module."""

    def __init__(self, store: PaymentStore, routing: Routing, operate: Operate) -> None:
        self._store, self._routing, self._operate = store, routing, operate

    async def __call__(
        self, caller: Caller, key: str, payment_id: UUID, amount: int | None, reason: RefundReason | None
    ) -> Answer[Transaction]:
        """Refunds `amount` minor units, or all that is left.

        Returns:
            The refund's transaction; FAILED when the processor declines it.

        Raises:
            KassaError: See `Operate`; AMOUNT_NOT_REPRESENTABLE where the processor cannot write the amount.
        """
        payment = await find_payment(self._store, caller.merchant_id, payment_id)
        if amount is not None:
            capabilities = self._routing.get(payment.processor).capabilities
            require(capabilities, payment.processor, payment.method, payment.currency, amount, hold=False)
        kind = TransactionType.REFUND
        answer = await self._operate(caller, key, payment_id, kind, amount, "" if reason is None else reason.value)
        assert isinstance(answer.value, Transaction)
        return Answer(answer.value, answer.replayed)
