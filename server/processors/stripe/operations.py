"""What changes something at Stripe, each under our transaction id as its key. `adapter` and `recovery` call.

https://docs.stripe.com/api/idempotent_requests
"""

from typing import Any

from stripe import RequestOptions

from server.domain.outcome import Cancelled, Outcome, Pending
from server.processors.contract import Account, Authorization, Capture, OutcomeUnknown, Refund, Request, Void
from server.processors.stripe import intents, refunds
from server.processors.stripe.answers import authorization_refused, operation_refused, payment_intent, read, write
from server.processors.stripe.connection import Json, StripeConnection
from server.processors.stripe.currencies import wire_amount
from server.processors.stripe.refusals import Refusal


class Operations:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: StripeConnection) -> None:
        self._connection = connection

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """Creates an intent and confirms it with the instrument."""
        params: Any = write(lambda: intents.creation(request))
        options = key_of(request)
        try:
            intent = await self._post(account, "/v1/payment_intents", params, options)
        except Refusal as refusal:
            return authorization_refused(refusal)
        return read(intents.outcome, intent)

    async def confirm(self, account: Account, request: Authorization) -> Outcome:
        """Confirms an intent that its customer has prepared."""
        intent_id, options = payment_intent(request), key_of(request, "-confirm")
        params: Any = {"expand": intents.EXPAND} | ({"return_url": request.return_url} if request.return_url else {})
        try:
            intent = await self._post(account, f"/v1/payment_intents/{intent_id}/confirm", params, options)
        except Refusal as refusal:
            return authorization_refused(refusal)
        return read(intents.outcome, intent)

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """Captures once; Stripe releases what is left."""
        intent_id, options = payment_intent(request), key_of(request)
        amount = write(lambda: wire_amount(request.currency, request.amount))
        params: Any = {"amount_to_capture": amount, "expand": intents.EXPAND}
        try:
            intent = await self._post(account, f"/v1/payment_intents/{intent_id}/capture", params, options)
        except Refusal as refusal:
            # Somebody may have captured or cancelled it in the dashboard: then the intent itself says what is true.
            standing = read(intents.capture_outcome, refusal.intent) if refusal.intent else None
            return standing or operation_refused(refusal, intent_id)
        return read(intents.capture_outcome, intent) or Pending(processor_payment_id=intent_id)

    async def void(self, account: Account, request: Void) -> Outcome:
        """Cancels an intent, whether it holds funds or waits for its customer."""
        intent_id, options = payment_intent(request), key_of(request)
        try:
            intent = await self._post(account, f"/v1/payment_intents/{intent_id}/cancel", {}, options)
        except Refusal as refusal:
            if (refusal.intent or {}).get("status") == "canceled":
                return Cancelled(processor_payment_id=intent_id)
            return operation_refused(refusal, intent_id)
        return read(intents.void_outcome, intent)

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """Refunds a part or all of what was captured."""
        intent_id, options = payment_intent(request), key_of(request)
        params: Any = write(lambda: refunds.creation(request, intent_id))
        try:
            refund = await self._post(account, "/v1/refunds", params, options)
        except Refusal as refusal:
            return operation_refused(refusal, intent_id)
        return read(refunds.outcome, refund)

    async def _post(self, account: Account, path: str, params: Json, options: RequestOptions) -> Json:
        try:
            return await self._connection.post(account, path, params, options)
        except Refusal as refusal:
            if refusal.other_parameters:
                # The key stands for another request of ours: a fence, or the original under an earlier release.
                raise OutcomeUnknown(str(refusal)) from None
            raise


def key_of(request: Request, step: str = "") -> RequestOptions:
    """Our transaction id as the idempotency key; `step` tells a second call of the same transaction apart."""
    return {"idempotency_key": f"{request.transaction_id}{step}"}
