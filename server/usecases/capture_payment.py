"""Takes funds that an authorization holds, in part or whole, once."""

from uuid import UUID

from server.domain.payment import Payment, TransactionType
from server.processors.capabilities import require
from server.storage.payments import PaymentStore
from server.usecases.answers import Answer, Caller
from server.usecases.create_payment import Routing
from server.usecases.operate import Operate, find_payment


class CapturePayment:
    """See the module."""

    def __init__(self, store: PaymentStore, routing: Routing, operate: Operate) -> None:
        self._store, self._routing, self._operate = store, routing, operate

    async def __call__(self, caller: Caller, key: str, payment_id: UUID, amount: int | None) -> Answer[Payment]:
        """Captures `amount` minor units, or all that is authorized; what is left is released.

        Raises:
            KassaError: See `Operate`; AMOUNT_NOT_REPRESENTABLE where the processor cannot write the amount.
        """
        payment = await find_payment(self._store, caller.merchant_id, payment_id)
        if amount is not None:
            capabilities = self._routing.get(payment.processor).capabilities
            require(capabilities, payment.processor, payment.method, payment.currency, amount, hold=True)
        answer = await self._operate(caller, key, payment_id, TransactionType.CAPTURE, amount, "")
        assert isinstance(answer.value, Payment)
        return Answer(answer.value, answer.replayed)
