"""PaymentIntents: create, confirm, capture, cancel. https://docs.stripe.com/api/payment_intents"""

import secrets
from collections.abc import Collection
from typing import Final

from sandbox.currencies import STRIPE_CURRENCIES, STRIPE_MINIMUM, decimal_text, stripe_exponent, stripe_step
from sandbox.stripe import charge_objects, charging, objects, payment_methods, test_cards
from sandbox.stripe.context import Call, Context, Json, new_id, now
from sandbox.stripe.errors import invalid, missing, refused, wrong_state
from sandbox.stripe.params import Params, words
from sandbox.stripe.records import PaymentIntent, PaymentMethod

CONFIRM: Final = words(
    "payment_method payment_method_data payment_method_options payment_method_types return_url off_session "
    "error_on_requires_action mandate_data receipt_email setup_future_usage shipping use_stripe_sdk "
    "radar_options capture_method expand"
)
CREATE: Final = CONFIRM | words(
    "amount currency automatic_payment_methods confirm confirmation_method customer description metadata "
    "statement_descriptor statement_descriptor_suffix"
)
CAPTURE: Final = frozenset(
    ["amount_to_capture", "final_capture", "metadata", "statement_descriptor", "statement_descriptor_suffix", "expand"]
)
_CANCEL_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
_OPEN: Final = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
_CONFIRMABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")
_HOLDS: Final = frozenset({"card"})
_ONLY_CURRENCY: Final = {"us_bank_account": "USD", "sepa_debit": "EUR", "crypto": "USD"}
_MAXIMUM: Final = 99_999_999


def create(context: Context, call: Call) -> Json:
    """POST /v1/payment_intents"""
    params = call.params
    params.allow(CREATE)
    amount, currency = _amount(params)
    types = params.texts("payment_method_types") or [params.hash("payment_method_data").text("type") or "card"]
    params.choice("confirmation_method", ("automatic",), "automatic")
    intent = PaymentIntent(
        account=call.account.id,
        id=new_id("pi"),
        created=now(),
        amount=amount,
        currency=currency,
        capture_method=params.choice("capture_method", ("automatic", "automatic_async", "manual"), "automatic"),
        payment_method_types=types,
        secret=secrets.token_hex(12),
        metadata=params.metadata(),
        description=params.optional("description"),
        receipt_email=params.optional("receipt_email"),
        customer=params.optional("customer"),
        statement_descriptor=params.optional("statement_descriptor"),
        statement_descriptor_suffix=params.optional("statement_descriptor_suffix"),
        setup_future_usage=params.optional("setup_future_usage"),
    )
    _check_types(intent)
    confirming = params.boolean("confirm")
    method = _read_attempt(context, intent, params)
    if confirming and method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(message, code="parameter_missing", param="payment_method")
    if confirming and method:
        _check_return_url(intent, method, params)
    context.books.intents.put(intent)
    context.publish(intent.account, "payment_intent.created", objects.payment_intent(context, intent))
    if method:
        intent.status, intent.payment_method = "requires_confirmation", method.id
        context.books.intents.put(intent)
    if confirming and method:
        _attempt(context, intent, method, params)
    return objects.payment_intent(context, intent)


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/payment_intents/{id}"""
    return objects.payment_intent(context, find(context, call.account.id, call.path["id"]))


def confirm(context: Context, call: Call) -> Json:
    """POST /v1/payment_intents/{id}/confirm"""
    call.params.allow(CONFIRM)
    intent = find(context, call.account.id, call.path["id"])
    _expect(context, intent, "confirm", _CONFIRMABLE)
    if types := call.params.texts("payment_method_types"):
        intent.payment_method_types = types
        _check_types(intent)
    method = _read_attempt(context, intent, call.params)
    if method is None and intent.payment_method:
        method = payment_methods.find(context, intent.account, intent.payment_method)
    if method is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update"
            " the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a"
            " payment method."
        )
        rendered = objects.payment_intent(context, intent)
        raise refused(message, code="payment_intent_unexpected_state", payment_intent=rendered)
    _check_return_url(intent, method, call.params)
    _attempt(context, intent, method, call.params)
    return objects.payment_intent(context, intent)


def capture(context: Context, call: Call) -> Json:
    """POST /v1/payment_intents/{id}/capture"""
    call.params.allow(CAPTURE)
    intent = find(context, call.account.id, call.path["id"])
    amount = call.params.integer("amount_to_capture")
    if amount is not None and amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount_to_capture")
    _expect(context, intent, "capture", ("requires_capture",))
    if amount is not None and amount > intent.amount_capturable:
        raise refused(
            "The provided `amount_to_capture` is greater than the capturable amount of this PaymentIntent.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charge = context.books.charges.get(intent.account, intent.latest_charge or "")
    assert charge is not None
    intent.metadata |= call.params.metadata()
    charging.capture(context, intent, charge, intent.amount_capturable if amount is None else amount)
    context.publish(intent.account, "charge.captured", charge_objects.charge(context, charge))
    rendered = objects.payment_intent(context, intent)
    context.publish(intent.account, "payment_intent.succeeded", rendered)
    return rendered


def cancel(context: Context, call: Call) -> Json:
    """POST /v1/payment_intents/{id}/cancel"""
    call.params.allow(frozenset({"cancellation_reason", "expand"}))
    intent = find(context, call.account.id, call.path["id"])
    reason = call.params.choice("cancellation_reason", _CANCEL_REASONS)
    _expect(context, intent, "cancel", _OPEN)
    held = intent.status == "requires_capture"
    _end(context, intent, reason or None)
    charge = context.books.charges.get(intent.account, intent.latest_charge or "")
    if held and charge:
        charging.release(context, charge, charge.amount)
        context.publish(intent.account, "charge.refunded", charge_objects.charge(context, charge))
    rendered = objects.payment_intent(context, intent)
    context.publish(intent.account, "payment_intent.canceled", rendered)
    return rendered


def expire(context: Context, intent: PaymentIntent) -> Json:
    """Stripe gives up a hold that was not captured in time.

    https://docs.stripe.com/payments/place-a-hold-on-a-payment-method

    Raises:
        StripeError: 400, nothing is held.
    """
    charge = context.books.charges.get(intent.account, intent.latest_charge or "")
    if intent.status != "requires_capture" or charge is None:
        raise wrong_state(
            f"This PaymentIntent holds nothing: {intent.status}.", objects.payment_intent(context, intent)
        )
    _end(context, intent, "automatic")
    charging.release(context, charge, charge.amount)
    context.publish(intent.account, "charge.expired", charge_objects.charge(context, charge))
    rendered = objects.payment_intent(context, intent)
    context.publish(intent.account, "payment_intent.canceled", rendered)
    return rendered


def find(context: Context, account: str, key: str, param: str = "intent") -> PaymentIntent:
    """The account's intent with that id.

    Raises:
        StripeError: 404.
    """
    intent = context.books.intents.get(account, key)
    if intent is None:
        raise missing("payment_intent", key, param)
    return intent


def _end(context: Context, intent: PaymentIntent, reason: str | None) -> None:
    intent.status, intent.action, intent.amount_capturable = "canceled", "", 0
    intent.canceled_at, intent.cancellation_reason = now(), reason
    context.books.intents.put(intent)


def _amount(params: Params) -> tuple[int, str]:
    """Reads amount and currency, and refuses what Stripe cannot express or is too small or large."""
    params.required("amount")
    currency = params.required("currency").upper()
    amount = params.integer("amount")
    if currency not in STRIPE_CURRENCIES:
        raise invalid(f"Invalid currency: {currency.lower()}.", param="currency")
    if amount is None or amount < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")
    if amount % stripe_step(currency):
        raise invalid(
            f"Invalid amount: {currency} amounts must be divisible by {stripe_step(currency)}.",
            code="parameter_invalid_integer",
            param="amount",
        )
    minimum = STRIPE_MINIMUM.get(currency, 1)
    if amount < minimum:
        text = decimal_text(minimum, stripe_exponent(currency))
        raise invalid(f"Amount must be at least {text} {currency.lower()}", code="amount_too_small", param="amount")
    if amount > _MAXIMUM:
        text = decimal_text(_MAXIMUM, stripe_exponent(currency))
        message = f"Amount must be no more than {text} {currency.lower()}"
        raise invalid(message, code="amount_too_large", param="amount")
    return amount, currency


def _check_types(intent: PaymentIntent) -> None:
    for kind in intent.payment_method_types:
        if kind not in payment_methods.TYPES:
            raise invalid(
                f"The payment method type {kind} is not modelled by this sandbox.", param="payment_method_types"
            )
        if intent.currency != _ONLY_CURRENCY.get(kind, intent.currency):
            message = f"The currency provided ({intent.currency.lower()}) is not supported by {kind}."
            raise invalid(message, param="currency")
        if intent.capture_method == "manual" and kind not in _HOLDS:
            raise invalid(f"The payment method type {kind} does not support manual capture.", param="capture_method")


def _read_attempt(context: Context, intent: PaymentIntent, params: Params) -> PaymentMethod | None:
    """Takes over what an attempt brings; the payment method, if it brings one."""
    options = params.hash("payment_method_options").hash("card")
    choices = ("automatic", "any", "challenge")
    intent.three_d_secure = options.choice("request_three_d_secure", choices, intent.three_d_secure)
    intent.return_url = params.text("return_url", intent.return_url)
    method = None
    if params.text("payment_method"):
        method = payment_methods.find(context, intent.account, params.text("payment_method"))
    elif "payment_method_data" in params:
        method = payment_methods.build(context, intent.account, params.hash("payment_method_data"))
    if method and method.type not in intent.payment_method_types:
        message = (
            f"The PaymentMethod provided ({method.type}) is not allowed for this PaymentIntent. Please attach a"
            f" PaymentMethod of one of the following types: {', '.join(intent.payment_method_types)}."
        )
        raise refused(message, code="payment_intent_incompatible_payment_method", param="payment_method")
    return method


def _attempt(context: Context, intent: PaymentIntent, method: PaymentMethod, params: Params) -> None:
    """Tries to take the money with this payment method, as far as it goes without the customer."""
    intent.payment_method, intent.failure = method.id, None
    if method.type in payment_methods.BANK_TYPES:
        charging.start_bank_debit(context, intent, method)
    elif method.type == "crypto":
        _ask_customer(context, intent, "crypto")
    elif not _must_authenticate(intent, method):
        charging.charge_card(context, intent, method, authenticated=False)
    elif _customer_is_absent(params):
        raise charging.decline(context, intent, None, "authentication_required")
    else:
        _ask_customer(context, intent, "three_d_secure")


def _must_authenticate(intent: PaymentIntent, method: PaymentMethod) -> bool:
    challenge = test_cards.BY_TOKEN[method.behaviour].challenge
    asked = intent.three_d_secure in ("any", "challenge")
    return challenge is test_cards.Challenge.REQUIRED or (challenge is test_cards.Challenge.OPTIONAL and asked)


def _customer_is_absent(params: Params) -> bool:
    return params.text("off_session") not in ("", "false") or params.boolean("error_on_requires_action")


def _check_return_url(intent: PaymentIntent, method: PaymentMethod, params: Params) -> None:
    """Refuses, before anything is done, an attempt that will need the customer and cannot send them back."""
    redirects = method.type == "crypto" or (
        method.type == "card" and _must_authenticate(intent, method) and not _customer_is_absent(params)
    )
    if redirects and not intent.return_url:
        message = "This attempt redirects the customer, so a `return_url` must be given."
        raise invalid(message, code="parameter_missing", param="return_url")


def _ask_customer(context: Context, intent: PaymentIntent, action: str) -> None:
    intent.status, intent.action = "requires_action", action
    context.books.intents.put(intent)
    context.publish(intent.account, "payment_intent.requires_action", objects.payment_intent(context, intent))


def _expect(context: Context, intent: PaymentIntent, verb: str, allowed: Collection[str]) -> None:
    if intent.status in allowed:
        return
    done = {"confirm": "confirmed", "capture": "captured", "cancel": "canceled"}[verb]
    message = (
        f"This PaymentIntent could not be {done} because it has a status of {intent.status}. Only a PaymentIntent with"
        f" one of the following statuses may be {done}: {', '.join(allowed)}."
    )
    raise wrong_state(message, objects.payment_intent(context, intent))
