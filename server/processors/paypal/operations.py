"""What changes something at PayPal, each under our transaction id as its key. `adapter` and `recovery` call.

https://developer.paypal.com/api/rest/reference/idempotency/
"""

from collections.abc import Mapping
from typing import Any

from server.domain.decline import DeclineCode
from server.domain.outcome import Cancelled, Declined, Outcome
from server.processors.contract import Account, Authorization, Capture, Refund, Void
from server.processors.failures import failure
from server.processors.paypal import orders, payments
from server.processors.paypal.answers import (
    creation_refused,
    operation_refused,
    order_id,
    read,
    taking_refused,
    write,
)
from server.processors.paypal.connection import Json, PayPalConnection
from server.processors.paypal.currencies import write_money
from server.processors.paypal.refusals import Refusal

_READ_AGAIN = frozenset(
    {
        "ORDER_ALREADY_AUTHORIZED",
        "ORDER_ALREADY_CAPTURED",
        "ORDER_COMPLETED_OR_VOIDED",
        "ORDER_NOT_APPROVED",
        "PAYER_ACTION_REQUIRED",
    }
)
"""The order is not in the state in which we read it."""


class Operations:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: PayPalConnection) -> None:
        self._connection = connection

    async def create(self, account: Account, request: Authorization) -> Outcome:
        """Creates the order, or under a known key reads it as it stands."""
        body = write(lambda: orders.creation(request))
        try:
            order = await self._connection.post(account, "v2/checkout/orders", body, str(request.transaction_id))
        except Refusal as refusal:
            return creation_refused(refusal)
        return read(orders.outcome, order)

    async def take(self, account: Account, request: Authorization, order: Mapping[str, Any]) -> Outcome:
        """Captures or authorizes an order that its customer has approved; harmless to repeat."""
        step = "capture" if order["intent"] == "CAPTURE" else "authorize"
        path = f"v2/checkout/orders/{order['id']}"
        try:
            taken = await self._connection.post(account, f"{path}/{step}", {}, f"{request.transaction_id}-{step}")
        except Refusal as refusal:
            if refusal.issue in _READ_AGAIN:
                return read(orders.outcome, await self._connection.get(account, path))
            return taking_refused(refusal, str(order["id"]))
        return read(orders.outcome, {"intent": order["intent"], **taken})

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """Captures an authorization once; PayPal releases what is left."""
        order = order_id(request)
        body: Json = {
            "amount": write(lambda: write_money(request.currency, request.amount)),
            "final_capture": True,
        }
        path = f"v2/payments/authorizations/{request.authorization_id}/capture"
        try:
            capture = await self._connection.post(account, path, body, str(request.transaction_id))
        except Refusal as refusal:
            return operation_refused(refusal, order)
        return read(lambda found: payments.capture(found, order), capture)

    async def void(self, account: Account, request: Void) -> Outcome:
        """Releases a hold. An order without one cannot be cancelled: it is over, since only we capture it."""
        order = order_id(request)
        if request.authorization_id:
            return await self._void(account, request, request.authorization_id)
        try:
            found = await self._connection.get(account, f"v2/checkout/orders/{order}")
        except Refusal as refusal:
            if refusal.status == 404:
                return Cancelled(processor_payment_id=order)
            return operation_refused(refusal, order)
        made = read(orders.payment, found)
        if made is None:
            return Cancelled(processor_payment_id=order)
        kind, payment = made
        if kind == "authorizations":
            return await self._void(account, request, str(payment["id"]))
        why = failure(DeclineCode.OPERATION_REFUSED, "ORDER_ALREADY_CAPTURED")
        return Declined(failure=why, processor_payment_id=order)

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """Refunds a part or all of a capture."""
        order = order_id(request)
        body: Json = {
            "amount": write(lambda: write_money(request.currency, request.amount)),
            "custom_id": str(request.transaction_id),
        }
        path = f"v2/payments/captures/{request.capture_id}/refund"
        try:
            refund = await self._connection.post(account, path, body, str(request.transaction_id))
        except Refusal as refusal:
            return operation_refused(refusal, order)
        return read(lambda found: payments.refund(found, order), refund)

    async def _void(self, account: Account, request: Void, authorization_id: str) -> Outcome:
        order = order_id(request)
        path = f"v2/payments/authorizations/{authorization_id}/void"
        try:
            await self._connection.post(account, path, {}, str(request.transaction_id))
        except Refusal as refusal:
            return operation_refused(refusal, order)
        return Cancelled(processor_payment_id=order)
