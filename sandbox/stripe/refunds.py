"""Refunds, with Stripe's limits. https://docs.stripe.com/api/refunds"""

from typing import Final

from sandbox.currencies import decimal_text, stripe_exponent
from sandbox.stripe import balance, charge_objects, objects, payment_intents, test_cards
from sandbox.stripe.context import Call, Context, Json, new_id, now
from sandbox.stripe.errors import invalid, missing, refused
from sandbox.stripe.params import Params, words
from sandbox.stripe.records import Charge, Refund
from sandbox.stripe.test_cards import RefundFate

FIELDS: Final = words("charge payment_intent amount reason metadata instructions_email origin expand")
_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")
SUCCEED: Final = "stripe.refund_succeeds"
FAIL: Final = "stripe.refund_fails"


def register(context: Context) -> None:
    """Tells the agenda how refunds end that do not end at once."""
    context.agenda.on(SUCCEED, lambda account, refund: _succeed(context, account, refund))
    context.agenda.on(FAIL, lambda account, refund: _fail(context, account, refund))


def create(context: Context, call: Call) -> Json:
    """POST /v1/refunds"""
    params = call.params
    params.allow(FIELDS)
    amount = params.integer("amount")
    if amount is not None and amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    reason = params.choice("reason", _REASONS) or None
    metadata = params.metadata()
    charge = _charge(context, call.account.id, params)
    return make(context, charge, amount, reason, metadata)


def make(  # what a refund is made of
    context: Context, charge: Charge, amount: int | None, reason: str | None, metadata: dict[str, str]
) -> Json:
    """Refunds `amount`, or all that is left, of a captured charge.

    Raises:
        StripeError: 400, the charge's state or what is left of it does not allow it.
    """
    left = charge.amount_captured - charge.amount_refunded
    _check(context, charge, left if amount is None else amount, left)
    refund = Refund(
        account=charge.account,
        id=new_id("re" if charge.id.startswith("ch_") else "pyr"),
        created=now(),
        charge=charge.id,
        payment_intent=charge.payment_intent,
        amount=left if amount is None else amount,
        currency=charge.currency,
        status="succeeded",
        reason=reason,
        metadata=metadata,
    )
    fate = _fate(context, charge)
    if fate is RefundFate.PENDING:
        refund.status = "pending"
    charge.amount_refunded += refund.amount
    charge.refunds.append(refund.id)
    refund.balance_transaction = balance.book_refund(context, charge, refund)
    context.books.refunds.put(refund)
    context.books.charges.put(charge)
    if fate is not RefundFate.AT_ONCE:
        action = SUCCEED if fate is RefundFate.PENDING else FAIL
        context.agenda.add(action, refund.account, refund.id, context.later_s)
    context.publish(refund.account, "refund.created", objects.refund(refund))
    context.publish(refund.account, "charge.refunded", charge_objects.charge(context, charge))
    return objects.refund(refund)


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/refunds/{id}"""
    refund = context.books.refunds.get(call.account.id, call.path["id"])
    if refund is None:
        raise missing("refund", call.path["id"], "id")
    return objects.refund(refund)


def _charge(context: Context, account: str, params: Params) -> Charge:
    if key := params.text("charge"):
        charge = context.books.charges.get(account, key)
        if charge is None:
            raise missing("charge", key, "charge")
        return charge
    if not params.text("payment_intent"):
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing")
    intent = payment_intents.find(context, account, params.text("payment_intent"), "payment_intent")
    charge = context.books.charges.get(account, intent.latest_charge or "")
    if charge is None or charge.status != "succeeded":
        raise refused(f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
    return charge


def _check(context: Context, charge: Charge, amount: int, left: int) -> None:
    if charge.status != "succeeded" or not charge.captured:
        raise refused(f"Charge {charge.id} has not been captured; cancel its PaymentIntent instead.", param="charge")
    dispute = context.books.disputes.get(charge.account, charge.dispute or "")
    if dispute and dispute.withdrawn and dispute.status != "won":
        message = f"Charge {charge.id} has been charged back; cannot issue a refund."
        raise refused(message, code="charge_disputed", charge=charge.id)
    if left == 0:
        message = f"Charge {charge.id} has already been refunded."
        raise refused(message, code="charge_already_refunded", charge=charge.id)
    if amount > left:
        exponent, code = stripe_exponent(charge.currency), charge.currency
        asked, rest = decimal_text(amount, exponent), decimal_text(left, exponent)
        message = f"Refund amount ({asked} {code}) is greater than unrefunded amount on charge ({rest} {code})"
        raise refused(message, param="amount", charge=charge.id)


def _fate(context: Context, charge: Charge) -> RefundFate:
    method = context.books.payment_methods.get(charge.account, charge.payment_method)
    assert method is not None
    return test_cards.BY_TOKEN[method.behaviour].refund if method.type == "card" else RefundFate.AT_ONCE


def _succeed(context: Context, account: str, refund_id: str) -> None:
    refund = context.books.refunds.get(account, refund_id)
    if refund is None or refund.status != "pending":
        return
    refund.status = "succeeded"
    context.books.refunds.put(refund)
    for event in ("refund.updated", "charge.refund.updated"):
        context.publish(account, event, objects.refund(refund))


def _fail(context: Context, account: str, refund_id: str) -> None:
    refund = context.books.refunds.get(account, refund_id)
    charge = context.books.charges.get(account, refund.charge) if refund else None
    if refund is None or charge is None or refund.status == "failed":
        return
    refund.status, refund.failure_reason = "failed", "expired_or_canceled_card"
    charge.amount_refunded -= refund.amount
    refund.failure_balance_transaction = balance.book_refund_failure(context, charge, refund)
    context.books.refunds.put(refund)
    context.books.charges.put(charge)
    for event in ("refund.failed", "refund.updated", "charge.refund.updated"):
        context.publish(account, event, objects.refund(refund))
