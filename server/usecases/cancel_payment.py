"""Calls off a payment before its capture: releases held funds, or ends the wait for a customer."""

from uuid import UUID

from server.domain.payment import Payment, TransactionType
from server.storage.payments import PaymentStore
from server.usecases.answers import Answer, Caller
from server.usecases.operate import Operate, find_payment


class CancelPayment:
    """See the module."""

    def __init__(self, store: PaymentStore, operate: Operate) -> None:
        self._store, self._operate = store, operate

    async def __call__(self, caller: Caller, key: str, payment_id: UUID, reason: str) -> Answer[Payment]:
        """Voids the authorization. The payment is CANCELLED once the processor has confirmed it.

        Raises:
            KassaError: See `Operate`.
        """
        await find_payment(self._store, caller.merchant_id, payment_id)
        answer = await self._operate(caller, key, payment_id, TransactionType.VOID, None, reason)
        assert isinstance(answer.value, Payment)
        return Answer(answer.value, answer.replayed)
