"""Payments v2: authorizations, captures, refunds. https://developer.paypal.com/docs/api/payments/v2/"""

import time
from typing import Final

from sandbox.paypal import objects
from sandbox.paypal.context import Call, Context, new_id, now
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.money import read_money
from sandbox.paypal.records import Authorization, Capture, Funding, Order, Refund

_PENDING: Final = (Funding.ECHECK, Funding.ECHECK_BOUNCES)
CLEAR: Final = "paypal.echeck_clears"
BOUNCE: Final = "paypal.echeck_bounces"


def register(context: Context) -> None:
    """Tells the agenda how eChecks end."""
    context.agenda.on(CLEAR, lambda account, capture: _end_echeck(context, account, capture, "COMPLETED"))
    context.agenda.on(BOUNCE, lambda account, capture: _end_echeck(context, account, capture, "DECLINED"))


def take(  # noqa: PLR0913  # what a capture is made of
    context: Context, order: Order, hold: Authorization | None, amount: int, invoice_id: str, *, final: bool = True
) -> Capture:
    """Books a capture of `amount`, of an order or of an authorization, and tells of it."""
    pending = order.funding in _PENDING
    capture = Capture(
        account=order.account,
        id=new_id(),
        created=now(),
        order=order.id,
        authorization=hold.id if hold else "",
        amount=amount,
        currency=order.currency,
        status="PENDING" if pending else "COMPLETED",
        custom_id=order.custom_id,
        invoice_id=invoice_id,
        final=final,
        pending_reason="ECHECK" if pending else "",
    )
    capture.told_at = time.time() + context.faults.late_fee_s("paypal.fee", capture.account)
    context.books.captures.put(capture)
    order.captures.append(capture.id)
    context.books.orders.put(order)
    if pending:
        action = CLEAR if order.funding is Funding.ECHECK else BOUNCE
        context.agenda.add(action, capture.account, capture.id, context.later_s)
    _tell(context, capture)
    return capture


def get_authorization(context: Context, call: Call) -> Authorization:
    """GET /v2/payments/authorizations/{id}"""
    return context.authorization(call.account.id, call.path["id"])


def capture_authorization(context: Context, call: Call) -> Capture:
    """POST /v2/payments/authorizations/{id}/capture: in part or whole, again until it is the final one."""
    hold = context.authorization(call.account.id, call.path["id"])
    if hold.status == "VOIDED":
        raise PayPalError("AUTHORIZATION_VOIDED")
    if hold.status == "CAPTURED":
        raise PayPalError("AUTHORIZATION_ALREADY_CAPTURED")
    amount = hold.amount - hold.captured
    if call.body.get("amount") is not None:
        amount, currency = read_money(call.body["amount"], "/amount")
        if currency != hold.currency:
            raise PayPalError("AUTH_CAPTURE_CURRENCY_MISMATCH", field="/amount/currency_code")
    # The default overage limit: https://developer.paypal.com/docs/api/payments/v2/#authorizations_capture
    if (hold.captured + amount) * 100 > hold.amount * 115:
        raise PayPalError("MAX_CAPTURE_AMOUNT_EXCEEDED", field="/amount/value")
    final = call.body.get("final_capture", False)
    if not isinstance(final, bool):
        raise PayPalError("INVALID_PARAMETER_SYNTAX", field="/final_capture")
    order = context.order(hold.account, hold.order)
    hold.captured += amount
    hold.status = "CAPTURED" if final or hold.captured >= hold.amount else "PARTIALLY_CAPTURED"
    hold.updated = now()
    context.books.authorizations.put(hold)
    return take(context, order, hold, amount, call.text("invoice_id") or order.invoice_id, final=final)


def void_authorization(context: Context, call: Call) -> Authorization:
    """POST /v2/payments/authorizations/{id}/void"""
    hold = context.authorization(call.account.id, call.path["id"])
    if hold.status == "VOIDED":
        raise PayPalError("PREVIOUSLY_VOIDED")
    if hold.status == "CAPTURED":
        raise PayPalError("PREVIOUSLY_CAPTURED")
    void(context, hold)
    return hold


def void(context: Context, hold: Authorization) -> None:
    """Releases what is held, whoever wants it."""
    hold.status, hold.updated = "VOIDED", now()
    context.books.authorizations.put(hold)
    rendered = objects.authorization(context, hold)
    context.publish(hold.account, "PAYMENT.AUTHORIZATION.VOIDED", "authorization", rendered)


def get_capture(context: Context, call: Call) -> Capture:
    """GET /v2/payments/captures/{id}"""
    return context.capture(call.account.id, call.path["id"])


def refund_capture(context: Context, call: Call) -> Refund:
    """POST /v2/payments/captures/{id}/refund: the amount asked for, or all that is left."""
    capture = context.capture(call.account.id, call.path["id"])
    amount = None
    if call.body.get("amount") is not None:
        amount, currency = read_money(call.body["amount"], "/amount")
        if currency != capture.currency:
            raise PayPalError("REFUND_CAPTURE_CURRENCY_MISMATCH", field="/amount/currency_code")
    references = (call.text("custom_id"), call.text("invoice_id"), call.text("note_to_payer", 255))
    return give_back(context, capture, amount, references)


def give_back(
    context: Context, capture: Capture, amount: int | None, references: tuple[str, str, str] = ("", "", "")
) -> Refund:
    """Refunds `amount`, or all that is left, of a capture; `references`: the refund's custom id, invoice id and note.

    Raises:
        PayPalError: 422, its state or what is left of it does not allow it.
    """
    if capture.status == "PENDING":
        raise PayPalError("PENDING_CAPTURE")
    if capture.status == "REFUNDED":
        raise PayPalError("CAPTURE_FULLY_REFUNDED")
    if capture.status == "DECLINED":
        raise PayPalError("REFUND_NOT_ALLOWED")
    left = capture.amount - capture.refunded - _disputed(context, capture)
    amount = left if amount is None else amount
    if left <= 0:
        raise PayPalError("REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK")
    if amount > left:
        raise PayPalError("REFUND_AMOUNT_EXCEEDED", field="/amount/value")
    capture.refunded += amount
    capture.status = "REFUNDED" if capture.refunded == capture.amount else "PARTIALLY_REFUNDED"
    capture.updated = now()
    custom_id, invoice_id, note = references
    refund = Refund(
        account=capture.account,
        id=new_id(),
        created=now(),
        order=capture.order,
        capture=capture.id,
        amount=amount,
        currency=capture.currency,
        custom_id=custom_id,
        invoice_id=invoice_id,
        note_to_payer=note,
        total_refunded=capture.refunded,
    )
    order = context.order(capture.account, capture.order)
    order.refunds.append(refund.id)
    context.books.refunds.put(refund)
    context.books.captures.put(capture)
    context.books.orders.put(order)
    context.publish(refund.account, "PAYMENT.CAPTURE.REFUNDED", "refund", objects.refund(context, refund))
    return refund


def get_refund(context: Context, call: Call) -> Refund:
    """GET /v2/payments/refunds/{id}"""
    return context.refund(call.account.id, call.path["id"])


def _disputed(context: Context, capture: Capture) -> int:
    """What the customer has won back already; no refund goes beside an open case."""
    disputes = [one for one in context.books.disputes.of(capture.account) if one.capture == capture.id]
    if any(one.status != "RESOLVED" for one in disputes):
        raise PayPalError("TRANSACTION_DISPUTED")
    return sum(movement.amount for one in disputes for movement in one.movements if movement.party == "BUYER")


def _end_echeck(context: Context, account: str, capture_id: str, status: str) -> None:
    capture = context.books.captures.get(account, capture_id)
    if capture is None or capture.status != "PENDING":
        return
    capture.status, capture.pending_reason, capture.updated = status, "", now()
    context.books.captures.put(capture)
    _tell(context, capture)


def _tell(context: Context, capture: Capture) -> None:
    word = {"COMPLETED": "COMPLETED", "PENDING": "PENDING", "DECLINED": "DENIED"}[capture.status]
    rendered = objects.capture(context, capture)
    context.publish(capture.account, f"PAYMENT.CAPTURE.{word}", "capture", rendered)
