"""Attempts at taking money: the charge behind a payment intent, its capture and release; `payment_intents` calls it."""

import time

from sandbox.stripe import balance, bank_accounts, charge_objects, objects, test_cards
from sandbox.stripe.context import Context, new_id, now
from sandbox.stripe.errors import StripeError
from sandbox.stripe.payment_methods import BANK_TYPES
from sandbox.stripe.records import Charge, Failure, PaymentIntent, PaymentMethod, Refund

SETTLE_BANK_DEBIT = "stripe.settle_bank_debit"
OPEN_DISPUTE = "stripe.open_dispute"
WARN_OF_FRAUD = "stripe.warn_of_fraud"


def register(context: Context) -> None:
    """Tells the agenda how a bank debit settles."""
    context.agenda.on(SETTLE_BANK_DEBIT, lambda account, intent: _settle_bank_debit(context, account, intent))


def charge_card(context: Context, intent: PaymentIntent, method: PaymentMethod, *, authenticated: bool) -> None:
    """Charges a card: the intent is then `succeeded` or `requires_capture`.

    Raises:
        StripeError: 402, after booking the failed attempt: the card was declined.
    """
    row = test_cards.BY_TOKEN[method.behaviour]
    charge = _new_charge(context, intent, method)
    charge.authenticated, charge.risk_level = authenticated, row.risk
    if row.decline:
        raise decline(context, intent, charge, row.decline)
    _approve(context, intent, charge)
    if row.dispute:
        context.agenda.add(f"{OPEN_DISPUTE}.{row.dispute}", intent.account, intent.id, context.later_s)
    if row.warned:
        context.agenda.add(WARN_OF_FRAUD, intent.account, intent.id, context.later_s)


def charge_crypto(context: Context, intent: PaymentIntent, method: PaymentMethod) -> None:
    """Takes a payment in crypto that the customer has sent."""
    _approve(context, intent, _new_charge(context, intent, method))


def start_bank_debit(context: Context, intent: PaymentIntent, method: PaymentMethod) -> None:
    """Submits a bank debit: the intent is `processing` until the agenda settles it."""
    charge = _new_charge(context, intent, method)
    charge.status = "pending"
    context.books.charges.put(charge)
    intent.status = "processing"
    context.books.intents.put(intent)
    context.publish(intent.account, "charge.pending", charge_objects.charge(context, charge))
    context.publish(intent.account, "payment_intent.processing", objects.payment_intent(context, intent))
    if not bank_accounts.BY_TOKEN[method.behaviour].stuck:
        context.agenda.add(SETTLE_BANK_DEBIT, intent.account, intent.id, context.later_s)


def capture(context: Context, intent: PaymentIntent, charge: Charge, amount: int) -> None:
    """Takes `amount` of what is held and releases the rest."""
    charge.captured, charge.amount_captured = True, amount
    kind = "charge" if "card" in intent.payment_method_types else "payment"
    charge.balance_transaction = balance.book_charge(context, charge, kind)
    charge.told_at = time.time() + context.faults.late_fee_s("stripe.fee", charge.account)
    intent.status, intent.amount_received, intent.amount_capturable = "succeeded", amount, 0
    context.books.charges.put(charge)
    context.books.intents.put(intent)
    release(context, charge, charge.amount - amount)


def release(context: Context, charge: Charge, amount: int) -> None:
    """Gives held money back. Stripe shows it as a refund of the charge, though nothing had been captured."""
    if not amount:
        return
    charge.released = amount
    refund = Refund(
        charge.account, new_id("re"), now(), charge.id, charge.payment_intent, amount, charge.currency, "succeeded"
    )
    refund.release = True
    context.books.refunds.put(refund)
    charge.refunds.append(refund.id)
    context.books.charges.put(charge)


def decline(context: Context, intent: PaymentIntent, charge: Charge | None, behaviour: str) -> StripeError:
    """Books a declined attempt and returns the error that tells of it."""
    code, decline_code, message = test_cards.DECLINES[behaviour]
    fail(context, intent, charge, Failure(code, message, decline_code))
    return card_error(context, intent)


def card_error(context: Context, intent: PaymentIntent) -> StripeError:
    """The 402 that reports the intent's last failure."""
    assert intent.failure is not None
    fields = objects.failure(context, intent.account, intent.failure)
    message, kind = fields.pop("message"), fields.pop("type")
    return StripeError(402, kind, message, payment_intent=objects.payment_intent(context, intent), **fields)


def fail(context: Context, intent: PaymentIntent, charge: Charge | None, failure: Failure) -> None:
    """Books a failed attempt: the intent wants another payment method."""
    failure.payment_method = intent.payment_method
    if charge:
        failure.charge = charge.id
        charge.status, charge.failure = "failed", failure
        context.books.charges.put(charge)
    intent.status, intent.action, intent.payment_method = "requires_payment_method", "", None
    intent.failure = failure
    context.books.intents.put(intent)
    if charge:
        context.publish(intent.account, "charge.failed", charge_objects.charge(context, charge))
    context.publish(intent.account, "payment_intent.payment_failed", objects.payment_intent(context, intent))


def _new_charge(context: Context, intent: PaymentIntent, method: PaymentMethod) -> Charge:
    prefix = "ch" if method.type == "card" else "py"
    charge = Charge(
        intent.account, new_id(prefix), now(), intent.id, method.id, intent.amount, intent.currency, "succeeded"
    )
    intent.payment_method, intent.latest_charge = method.id, charge.id
    return context.books.charges.put(charge)


def _approve(context: Context, intent: PaymentIntent, charge: Charge) -> None:
    intent.failure, intent.action, charge.status = None, "", "succeeded"
    if intent.capture_method == "manual":
        intent.status, intent.amount_capturable = "requires_capture", intent.amount
        context.books.intents.put(intent)
        context.publish(intent.account, "charge.succeeded", charge_objects.charge(context, charge))
        rendered = objects.payment_intent(context, intent)
        context.publish(intent.account, "payment_intent.amount_capturable_updated", rendered)
        return
    capture(context, intent, charge, intent.amount)
    context.publish(intent.account, "charge.succeeded", charge_objects.charge(context, charge))
    context.publish(intent.account, "payment_intent.succeeded", objects.payment_intent(context, intent))


def _settle_bank_debit(context: Context, account: str, intent_id: str) -> None:
    intent = context.books.intents.get(account, intent_id)
    charge = context.books.charges.get(account, intent.latest_charge or "") if intent else None
    if intent is None or charge is None or intent.status != "processing":
        return
    method = context.books.payment_methods.get(account, charge.payment_method)
    assert method is not None and method.type in BANK_TYPES
    row = bank_accounts.BY_TOKEN[method.behaviour]
    if row.failure:
        message = bank_accounts.FAILURES[row.failure]
        fail(context, intent, charge, Failure(row.failure, message, type="invalid_request_error"))
        return
    _approve(context, intent, charge)
    if row.dispute:
        context.agenda.add(f"{OPEN_DISPUTE}.{row.dispute}", account, intent.id, context.later_s)
