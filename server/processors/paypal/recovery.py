"""Finds out what became of a request to PayPal whose answer was lost, and carries approved orders on. `adapter` calls.

PayPal knows no look-up by our reference, so a request is repeated under its key; none of them needs the customer's
card. An order whose id we never learned cannot be approved, and if it could, only we would capture it.
"""

from typing import assert_never

from server.domain.decline import DeclineCode
from server.domain.outcome import Cancelled, Declined, Outcome
from server.processors.contract import Account, Authorization, Capture, OutcomeUnknown, Refund, Request, Void
from server.processors.failures import failure
from server.processors.key_lifetime import key_is_over, key_lives
from server.processors.paypal import orders, payments
from server.processors.paypal.answers import order_id, read
from server.processors.paypal.connection import Json, PayPalConnection
from server.processors.paypal.currencies import CAPABILITIES
from server.processors.paypal.operations import Operations
from server.processors.paypal.refusals import Refusal


class Recovery:
    """See the module. Methods raise `OutcomeUnknown` where it cannot be told yet."""

    def __init__(self, connection: PayPalConnection, operations: Operations) -> None:
        self._connection, self._operations = connection, operations

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """Reads a known order, and captures or authorizes it once its customer has approved it."""
        order = await self._order(account, request)
        if order is None:
            return Cancelled(processor_payment_id=order_id(request))
        if not read(lambda found: orders.is_ours(found, request), order):
            raise OutcomeUnknown(f"paypal order {order_id(request)} is not of transaction {request.transaction_id}")
        if read(lambda found: found["status"], order) != "APPROVED" or read(orders.payment, order) is not None:
            return read(orders.outcome, order)
        if not read(lambda found: orders.amount_is_ours(found, request), order):
            # Nothing was taken, and only we could take it: so this is final.
            why = failure(DeclineCode.PROCESSING_ERROR, "ORDER_AMOUNT_CHANGED")
            return Declined(failure=why, processor_payment_id=order_id(request))
        return await self._operations.take(account, request, order)

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """See `Processor`."""
        match request:
            case Authorization():
                return await self._authorization(account, request)
            case Capture():
                return await self._capture(account, request)
            case Void():
                # Voiding twice is refused with the news that it is void.
                return await self._operations.void(account, request)
            case Refund():
                return await self._refund(account, request)
            case _:
                assert_never(request)

    async def _authorization(self, account: Account, request: Authorization) -> Outcome:
        if request.processor_payment_id is None:
            if key_lives(request, CAPABILITIES):
                return await self._operations.create(account, request)
            if key_is_over(request, CAPABILITIES):
                return Declined(failure=failure(DeclineCode.NOT_SUBMITTED))
            raise OutcomeUnknown(f"paypal's order of transaction {request.transaction_id} is not known")
        order = await self._order(account, request)
        if order is None:
            return Cancelled(processor_payment_id=request.processor_payment_id)
        return read(orders.outcome, order)

    async def _capture(self, account: Account, request: Capture) -> Outcome:
        order = order_id(request)
        if request.processor_transaction_id is not None:
            found = await self._read(account, f"v2/payments/captures/{request.processor_transaction_id}")
            return read(lambda capture: payments.capture(capture, order), found)
        _require_key(request)
        return await self._operations.capture(account, request)

    async def _refund(self, account: Account, request: Refund) -> Outcome:
        order = request.processor_payment_id or ""
        if request.processor_transaction_id is not None:
            found = await self._read(account, f"v2/payments/refunds/{request.processor_transaction_id}")
            return read(lambda refund: payments.refund(refund, order), found)
        _require_key(request)
        return await self._operations.refund(account, request)

    async def _order(self, account: Account, request: Authorization) -> Json | None:
        """Reads the order; None where PayPal has dropped it, as it does with orders that nobody approved.

        Raises:
            OutcomeUnknown: It is too young to be dropped.
        """
        try:
            return await self._connection.get(account, f"v2/checkout/orders/{order_id(request)}")
        except Refusal as refusal:
            if refusal.status == 404 and key_is_over(request, CAPABILITIES):
                return None
            raise OutcomeUnknown(str(refusal)) from None

    async def _read(self, account: Account, path: str) -> Json:
        try:
            return await self._connection.get(account, path)
        except Refusal as refusal:
            raise OutcomeUnknown(str(refusal)) from None


def _require_key(request: Request) -> None:
    if not key_lives(request, CAPABILITIES):
        raise OutcomeUnknown(f"paypal no longer knows the key {request.transaction_id}")
