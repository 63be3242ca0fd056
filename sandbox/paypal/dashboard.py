"""What people do at PayPal, or what happens there: cases, refunds, holds that expire. `sandbox.admin` mounts it."""

from typing import Literal

from aiohttp import web
from pydantic import Field

from sandbox.commands import Answering, Body
from sandbox.exchange import Json
from sandbox.paypal import dispute_objects, disputes, objects, orders, payments
from sandbox.paypal.context import Context
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.records import Capture
from sandbox.store import R, Table


class NewDispute(Body):
    """A case about a capture, or an order's; `amount` as PayPal writes it without the point, or all that is left."""

    capture: str = ""
    order: str = ""
    amount: int | None = Field(default=None, gt=0)
    reason: Literal[
        "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED",
        "UNAUTHORISED",
        "CREDIT_NOT_PROCESSED",
        "DUPLICATE_TRANSACTION",
        "INCORRECT_AMOUNT",
        "PAYMENT_BY_OTHER_MEANS",
        "CANCELED_RECURRING_BILLING",
        "PROBLEM_WITH_REMITTANCE",
        "OTHER",
    ] = "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"
    inquiry: bool = False


class Verdict(Body):
    """How a case goes on: an inquiry becomes a `claim`, or it ends."""

    status: Literal["claim", "won", "lost", "cancelled"]


class SiteRefund(Body):
    """A refund made on PayPal's own site; `amount` as PayPal writes it without the point, or all that is left."""

    capture: str = ""
    order: str = ""
    amount: int | None = Field(default=None, gt=0)


class Expiry(Body):
    """An order whose hold was captured too late, or that nobody approved in time."""

    order: str


class Dashboard:
    """The routes under /sandbox/paypal."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self, answering: Answering) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.post("/sandbox/paypal/disputes", answering(self._dispute)),
            web.post("/sandbox/paypal/disputes/{id}", answering(self._decide)),
            web.post("/sandbox/paypal/refunds", answering(self._refund)),
            web.post("/sandbox/paypal/expire", answering(self._expire)),
        ]

    async def _dispute(self, request: web.Request) -> Json:
        wish = NewDispute.model_validate_json(await request.read())
        capture = self._capture(wish.capture, wish.order)
        made = disputes.open_dispute(self._context, capture, wish.amount, wish.reason, inquiry=wish.inquiry)
        return dispute_objects.dispute(self._context, made)

    async def _decide(self, request: web.Request) -> Json:
        verdict, key = Verdict.model_validate_json(await request.read()), request.match_info["id"]
        dispute = self._context.dispute(self._owner(self._context.books.disputes, key), key)
        if verdict.status == "claim":
            disputes.escalate(self._context, dispute)
        else:
            fee = 0 if dispute.stage == "INQUIRY" else disputes.DISPUTE_FEE
            disputes.decide(self._context, dispute, disputes.VERDICTS[verdict.status], fee=fee)
        return dispute_objects.dispute(self._context, dispute)

    async def _refund(self, request: web.Request) -> Json:
        wish = SiteRefund.model_validate_json(await request.read())
        capture = self._capture(wish.capture, wish.order)
        return objects.refund(self._context, payments.give_back(self._context, capture, wish.amount))

    async def _expire(self, request: web.Request) -> Json:
        wish = Expiry.model_validate_json(await request.read())
        order = self._context.order(self._owner(self._context.books.orders, wish.order), wish.order)
        return orders.expire(self._context, order)

    def _capture(self, key: str, order_id: str) -> Capture:
        """The capture itself, or the order's latest."""
        if order_id:
            order = self._context.order(self._owner(self._context.books.orders, order_id), order_id)
            if not order.captures:
                raise PayPalError("ORDER_NOT_APPROVED")
            key = order.captures[-1]
        return self._context.capture(self._owner(self._context.books.captures, key), key)

    def _owner(self, table: Table[R], key: str) -> str:
        return next((account.id for account in self._context.accounts.all() if table.get(account.id, key)), "")
