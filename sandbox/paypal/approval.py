"""PayPal's approval page, `/checkoutnow?token=ORDER`: the payer approves, in one of several ways, or cancels."""

from typing import Final

from aiohttp import web
from yarl import URL

from sandbox.currencies import decimal_text, paypal_exponent
from sandbox.pages import Button, Page, render
from sandbox.paypal import orders
from sandbox.paypal.context import Context
from sandbox.paypal.objects import PAYER_ID
from sandbox.paypal.records import Funding, Order
from sandbox.store import Store

_FUNDING: Final = {
    "approve": Funding.BALANCE,
    "approve_declined": Funding.DECLINED,
    "approve_echeck": Funding.ECHECK,
    "approve_echeck_bounces": Funding.ECHECK_BOUNCES,
}
_BUTTONS: Final = (
    Button("approve", "Approve", primary=True),
    Button("approve_declined", "Approve; the instrument is declined later"),
    Button("approve_echeck", "Approve by eCheck, which clears later"),
    Button("approve_echeck_bounces", "Approve by eCheck, which bounces later"),
    Button("cancel", "Cancel and go back to the shop"),
)


class ApprovalPage:
    """GET shows the page; POST with `choice` acts and sends the payer back."""

    def __init__(self, context: Context, store: Store) -> None:
        self._context = context
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """The page's routes."""
        return [web.get("/checkoutnow", self._show), web.post("/checkoutnow", self._act)]

    async def _show(self, request: web.Request) -> web.Response:
        order = self._find(request)
        if order is None:
            return render(Page("PayPal", "There is no such order"), status=404)
        amount = f"{decimal_text(order.amount, paypal_exponent(order.currency))} {order.currency}"
        facts = [("Order", order.id), *([("For", order.description)] if order.description else [])]
        if not _open(order):
            return render(Page("PayPal", "Nothing to do any more", amount, facts))
        return render(Page("PayPal", "Pay with PayPal", amount, facts, _BUTTONS))

    async def _act(self, request: web.Request) -> web.Response:
        order = self._find(request)
        if order is None:
            return render(Page("PayPal", "There is no such order"), status=404)
        choice = (await request.post()).get("choice")
        if not _open(order):
            return render(Page("PayPal", "Nothing to do any more"), status=409)
        if choice == "cancel":
            return _leave(order.cancel_url, {"token": order.id}, "You have cancelled")
        if not isinstance(choice, str) or choice not in _FUNDING:
            return render(Page("PayPal", "Approve or cancel?"), status=400)
        orders.approve(self._context, order, _FUNDING[choice])
        self._store.flush()
        return _leave(order.return_url, {"token": order.id, "PayerID": PAYER_ID}, "You have approved")

    def _find(self, request: web.Request) -> Order | None:
        token = request.query.get("token", "")
        owners = (account.id for account in self._context.accounts.all())
        return next((order for owner in owners if (order := self._context.books.orders.get(owner, token))), None)


def _open(order: Order) -> bool:
    declined = order.status == "APPROVED" and order.funding is Funding.DECLINED
    return declined or order.status in ("CREATED", "PAYER_ACTION_REQUIRED")


def _leave(url: str, query: dict[str, str], title: str) -> web.Response:
    if not url:
        return render(Page("PayPal", title, note="The shop named no page to go back to: you may close this one."))
    raise web.HTTPSeeOther(str(URL(url).update_query(query)))
