"""The page that a `redirect_to_url` leads to: 3-D Secure or a crypto payment, approved or declined by hand."""

import hmac

from aiohttp import web
from yarl import URL

from sandbox.currencies import decimal_text, stripe_exponent
from sandbox.pages import Button, Page, render
from sandbox.store import Store
from sandbox.stripe import charging, objects
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.payment_methods import find
from sandbox.stripe.records import Failure, PaymentIntent

_TITLES = {"three_d_secure": "Is it you who pays?", "crypto": "Pay with crypto"}
_NOT_AUTHENTICATED = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try again."
)


class AuthenticationPage:
    """GET shows the page, POST with `choice=approve` or `choice=decline` acts and sends the customer back."""

    def __init__(self, context: Context, store: Store) -> None:
        self._context = context
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """The page's routes."""
        path = "/stripe/authenticate/{id}"
        return [web.get(path, self._show), web.post(path, self._act)]

    async def _show(self, request: web.Request) -> web.Response:
        intent = self._find(request)
        if intent is None:
            return render(Page("Stripe", "There is no such payment"), status=404)
        amount = decimal_text(intent.amount, stripe_exponent(intent.currency))
        facts = [("Payment", intent.id), *([("For", intent.description)] if intent.description else [])]
        if not intent.action:
            return render(Page("Stripe", "Nothing to do any more", f"{amount} {intent.currency}", facts))
        buttons = (Button("approve", "Approve", primary=True), Button("decline", "Decline"))
        return render(Page("Stripe", _TITLES[intent.action], f"{amount} {intent.currency}", facts, buttons))

    async def _act(self, request: web.Request) -> web.Response:
        intent = self._find(request)
        if intent is None:
            return render(Page("Stripe", "There is no such payment"), status=404)
        choice = (await request.post()).get("choice")
        if not intent.action:
            return render(Page("Stripe", "Nothing to do any more"), status=409)
        if choice not in ("approve", "decline"):
            return render(Page("Stripe", "Approve or decline?"), status=400)
        self._finish(intent, approved=choice == "approve")
        self._store.flush()
        status = "succeeded" if intent.status in ("succeeded", "requires_capture") else "failed"
        query = {
            "payment_intent": intent.id,
            "payment_intent_client_secret": objects.client_secret(intent),
            "redirect_status": status,
        }
        raise web.HTTPSeeOther(str(URL(intent.return_url).update_query(query)))

    def _find(self, request: web.Request) -> PaymentIntent | None:
        key = request.query.get("key", "")
        for account in self._context.accounts.all():
            intent = self._context.books.intents.get(account.id, request.match_info["id"])
            if intent and hmac.compare_digest(intent.secret.encode(), key.encode()):
                return intent
        return None

    def _finish(self, intent: PaymentIntent, *, approved: bool) -> None:
        context, action = self._context, intent.action
        if not approved:
            code = (
                "payment_intent_authentication_failure"
                if action == "three_d_secure"
                else "payment_method_customer_decline"
            )
            charging.fail(context, intent, None, Failure(code, _NOT_AUTHENTICATED, type="invalid_request_error"))
            return
        method = find(context, intent.account, intent.payment_method or "")
        if action == "crypto":
            charging.charge_crypto(context, intent, method)
            return
        try:
            charging.charge_card(context, intent, method, authenticated=True)
        except StripeError:
            # Declined after authentication: it is booked, and the merchant hears of it by webhook.
            return
