"""What people do at Stripe, or what happens there: disputes, refunds, holds that expire. `sandbox.admin` mounts it."""

from typing import Literal

from aiohttp import web
from pydantic import Field

from sandbox.commands import Answering, Body
from sandbox.exchange import Json
from sandbox.stripe import disputes, objects, payment_intents, refunds, warnings
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.records import Charge, PaymentIntent


class NewDispute(Body):
    """A dispute of a captured payment; `amount` in Stripe's units, all of it where absent."""

    payment_intent: str
    account: str | None = None
    amount: int | None = Field(default=None, gt=0)
    reason: Literal["fraudulent", "product_not_received", "duplicate", "general", "unrecognized", "inquiry"] = (
        "fraudulent"
    )


class Verdict(Body):
    """How a dispute goes on: an inquiry becomes a dispute (`needs_response`), or it ends."""

    status: Literal["needs_response", "won", "lost", "warning_closed"]


class NewWarning(Body):
    """An early fraud warning about an approved payment."""

    payment_intent: str
    account: str | None = None
    fraud_type: Literal[
        "made_with_stolen_card", "made_with_lost_card", "unauthorized_use_of_card", "card_never_received", "misc"
    ] = "made_with_stolen_card"


class DashboardRefund(Body):
    """A refund made in Stripe's dashboard, hence without metadata; `amount` in Stripe's units."""

    payment_intent: str
    account: str | None = None
    amount: int | None = Field(default=None, gt=0)


class Expiry(Body):
    """A hold that was captured too late."""

    payment_intent: str
    account: str | None = None


class Dashboard:
    """The routes under /sandbox/stripe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self, answering: Answering) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.post("/sandbox/stripe/disputes", answering(self._dispute)),
            web.post("/sandbox/stripe/disputes/{id}", answering(self._decide)),
            web.post("/sandbox/stripe/early_fraud_warnings", answering(self._warn)),
            web.post("/sandbox/stripe/refunds", answering(self._refund)),
            web.post("/sandbox/stripe/expire", answering(self._expire)),
        ]

    async def _dispute(self, request: web.Request) -> Json:
        wish = NewDispute.model_validate_json(await request.read())
        charge = self._charge(self._intent(wish.payment_intent, wish.account))
        dispute = disputes.open_dispute(self._context, charge, wish.reason, wish.amount)
        return objects.dispute(self._context, dispute)

    async def _decide(self, request: web.Request) -> Json:
        verdict, key = Verdict.model_validate_json(await request.read()), request.match_info["id"]
        owners = (account.id for account in self._context.accounts.all())
        owner = next((owner for owner in owners if self._context.books.disputes.get(owner, key)), "")
        dispute = disputes.find(self._context, owner, key)
        if verdict.status == "needs_response":
            disputes.escalate(self._context, dispute)
        else:
            disputes.close_dispute(self._context, dispute, verdict.status)
        return objects.dispute(self._context, dispute)

    async def _warn(self, request: web.Request) -> Json:
        wish = NewWarning.model_validate_json(await request.read())
        charge = self._charge(self._intent(wish.payment_intent, wish.account))
        return warnings.rendered(self._context, warnings.warn(self._context, charge, wish.fraud_type))

    async def _refund(self, request: web.Request) -> Json:
        wish = DashboardRefund.model_validate_json(await request.read())
        charge = self._charge(self._intent(wish.payment_intent, wish.account))
        return refunds.make(self._context, charge, wish.amount, None, {})

    async def _expire(self, request: web.Request) -> Json:
        wish = Expiry.model_validate_json(await request.read())
        return payment_intents.expire(self._context, self._intent(wish.payment_intent, wish.account))

    def _intent(self, key: str, account_id: str | None) -> PaymentIntent:
        owners = [account_id] if account_id else [account.id for account in self._context.accounts.all()]
        owner = next((owner for owner in owners if self._context.books.intents.get(owner, key)), "")
        return payment_intents.find(self._context, owner, key, "payment_intent")

    def _charge(self, intent: PaymentIntent) -> Charge:
        charge = self._context.books.charges.get(intent.account, intent.latest_charge or "")
        if charge is None:
            raise StripeError(400, "invalid_request_error", f"{intent.id} has no charge")
        return charge
