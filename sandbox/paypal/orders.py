"""Orders v2: create, get, capture, authorize. https://developer.paypal.com/docs/api/orders/v2/"""

from typing import Any

from sandbox.paypal import objects, payments
from sandbox.paypal.context import Call, Context, Json, new_id, now, read_object, read_text
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.money import read_money
from sandbox.paypal.records import Authorization, Funding, Order

_INTENTS = ("CAPTURE", "AUTHORIZE")


def create(context: Context, call: Call) -> Order:
    """POST /v2/checkout/orders"""
    intent, unit = call.body.get("intent"), _purchase_unit(call.body)
    if intent is None:
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field="/intent")
    if intent not in _INTENTS:
        raise PayPalError("INVALID_PARAMETER_VALUE", field="/intent")
    field = "/purchase_units/@reference_id=='default'"
    if unit.get("amount") is None:
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field=f"{field}/amount")
    amount, currency = read_money(unit["amount"], f"{field}/amount", whole_issue="DECIMAL_PRECISION")
    source = read_object(call.body, "payment_source", "/payment_source")
    if "card" in source:
        raise PayPalError("NOT_ENABLED_FOR_CARD_PROCESSING", field="/payment_source/card")
    if source.keys() - {"paypal"}:
        raise PayPalError("INVALID_PARAMETER_VALUE", field="/payment_source")
    if source and not call.has_request_id:
        raise PayPalError("PAYPAL_REQUEST_ID_REQUIRED")
    experience = _experience(call.body, source)
    order = Order(
        account=call.account.id,
        id=new_id(),
        created=now(),
        intent=intent,
        amount=amount,
        currency=currency,
        status="PAYER_ACTION_REQUIRED" if source else "CREATED",
        reference_id=read_text(unit, "reference_id", f"{field}/reference_id", 256) or "default",
        custom_id=read_text(unit, "custom_id", f"{field}/custom_id"),
        invoice_id=read_text(unit, "invoice_id", f"{field}/invoice_id"),
        description=read_text(unit, "description", f"{field}/description"),
        soft_descriptor=read_text(unit, "soft_descriptor", f"{field}/soft_descriptor", 22),
        return_url=read_text(experience, "return_url", "/return_url", 2048),
        cancel_url=read_text(experience, "cancel_url", "/cancel_url", 2048),
        wallet=bool(source),
    )
    return context.books.orders.put(order)


def retrieve(context: Context, call: Call) -> Order:
    """GET /v2/checkout/orders/{id}"""
    return context.order(call.account.id, call.path["id"])


def capture(context: Context, call: Call) -> Order:
    """POST /v2/checkout/orders/{id}/capture"""
    order = context.order(call.account.id, call.path["id"])
    if order.intent != "CAPTURE":
        raise PayPalError("ACTION_DOES_NOT_MATCH_INTENT")
    if order.status == "COMPLETED":
        raise PayPalError("ORDER_ALREADY_CAPTURED")
    if order.status != "APPROVED":
        raise PayPalError("ORDER_NOT_APPROVED")
    if order.funding is Funding.DECLINED:
        raise PayPalError("INSTRUMENT_DECLINED")
    order.status, order.updated = "COMPLETED", now()
    payments.take(context, order, None, order.amount, order.invoice_id)
    return order


def authorize(context: Context, call: Call) -> Order:
    """POST /v2/checkout/orders/{id}/authorize"""
    order = context.order(call.account.id, call.path["id"])
    if order.intent != "AUTHORIZE":
        raise PayPalError("ACTION_DOES_NOT_MATCH_INTENT")
    if order.status == "COMPLETED":
        raise PayPalError("ORDER_ALREADY_AUTHORIZED")
    if order.status != "APPROVED":
        raise PayPalError("ORDER_NOT_APPROVED")
    if order.funding is Funding.DECLINED:
        raise PayPalError("PAYER_CANNOT_PAY")
    hold = Authorization(order.account, new_id(), now(), order.id, order.amount, order.currency, "CREATED")
    context.books.authorizations.put(hold)
    order.authorizations.append(hold.id)
    order.status, order.updated = "COMPLETED", now()
    context.books.orders.put(order)
    rendered = objects.authorization(context, hold)
    context.publish(hold.account, "PAYMENT.AUTHORIZATION.CREATED", "authorization", rendered)
    return order


def approve(context: Context, order: Order, funding: Funding) -> None:
    """The payer agrees to pay so."""
    order.status, order.funding, order.updated = "APPROVED", funding, now()
    context.books.orders.put(order)
    context.publish(order.account, "CHECKOUT.ORDER.APPROVED", "checkout-order", objects.order(context, order))


def expire(context: Context, order: Order) -> Json:
    """PayPal voids a hold that was not captured in time, and drops an order that nobody approved.

    https://developer.paypal.com/docs/checkout/standard/customize/authorization/

    Raises:
        PayPalError: 422, its money has been taken.
    """
    if not order.authorizations and not order.captures:
        context.books.orders.remove(order)
        return {"id": order.id, "status": "DROPPED"}
    holds = [context.authorization(order.account, key) for key in order.authorizations]
    open_holds = [hold for hold in holds if hold.status in ("CREATED", "PARTIALLY_CAPTURED")]
    if not open_holds:
        raise PayPalError("PREVIOUSLY_CAPTURED")
    for hold in open_holds:
        payments.void(context, hold)
    return objects.order(context, order)


def _purchase_unit(body: Json) -> Json:
    units = body.get("purchase_units")
    if units is None:
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field="/purchase_units")
    # One payment, one unit: marketplaces' split orders are not modelled.
    if not isinstance(units, list) or len(units) != 1 or not isinstance(units[0], dict):
        raise PayPalError("INVALID_PARAMETER_VALUE", field="/purchase_units")
    unit: Json = units[0]
    return unit


def _experience(body: Json, source: Json) -> dict[str, Any]:
    wallet = read_object(source, "paypal", "/payment_source/paypal")
    experience = read_object(wallet, "experience_context", "/payment_source/paypal/experience_context")
    return read_object(body, "application_context", "/application_context") | experience
