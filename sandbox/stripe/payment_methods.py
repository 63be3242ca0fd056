"""Payment methods from tokens, raw test numbers and bank accounts; `payment_intents` charges them."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from sandbox.stripe import bank_accounts, payment_method_objects, test_cards
from sandbox.stripe.context import Call, Context, Json, new_id, now
from sandbox.stripe.errors import StripeError, invalid, missing
from sandbox.stripe.params import Params
from sandbox.stripe.records import Card, PaymentMethod

TYPES: Final = frozenset({"card", "us_bank_account", "sepa_debit", "crypto"})
BANK_TYPES: Final = frozenset({"us_bank_account", "sepa_debit"})
_FIELDS: Final = TYPES | {"type", "billing_details", "metadata", "allow_redisplay", "radar_options"}
_CARD_FIELDS: Final = frozenset({"number", "exp_month", "exp_year", "cvc", "networks"})
_YEARS_AHEAD: Final = 50


def create(context: Context, call: Call) -> Json:
    """POST /v1/payment_methods"""
    return payment_method_objects.payment_method(build(context, call.account.id, call.params))


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/payment_methods/{id}"""
    return payment_method_objects.payment_method(find(context, call.account.id, call.path["id"]))


def find(context: Context, account: str, key: str) -> PaymentMethod:
    """A payment method by its id; a published test token makes a fresh one."""
    known = context.books.payment_methods.get(account, key)
    if known:
        return known
    if key.startswith("pm_") and key in test_cards.BY_TOKEN:
        row = test_cards.BY_TOKEN[key]
        in_two_years = datetime.now(UTC).year + 2
        method = PaymentMethod(account, new_id("pm"), now(), "card", row.token)
        method.card = _card(account, row, row.number, (12, in_two_years), row.cvc_check)
        return context.books.payment_methods.put(method)
    if key.startswith("pm_") and key in bank_accounts.BY_TOKEN:
        bank = bank_accounts.BY_TOKEN[key]
        method = PaymentMethod(account, new_id("pm"), now(), "us_bank_account", bank.token, last4=bank.number[-4:])
        return context.books.payment_methods.put(method)
    raise missing("PaymentMethod", key, "payment_method")


def build(context: Context, account: str, params: Params) -> PaymentMethod:
    """Makes one from `payment_method_data`, or from the parameters of `POST /v1/payment_methods`.

    Raises:
        StripeError: 402 where the card's own data are wrong, as Stripe says it before any charge.
    """
    params.allow(_FIELDS)
    kind = params.required("type")
    if kind not in TYPES:
        raise invalid(f"The payment method type {kind} is not modelled by this sandbox.", param=params.name("type"))
    method = PaymentMethod(account, new_id("pm"), now(), kind, "", metadata=params.metadata())
    if kind == "card":
        _read_card(method, params.hash("card"))
    elif kind in BANK_TYPES:
        _read_bank_account(method, params.hash(kind))
    details = params.hash("billing_details")
    address = details.hash("address")
    method.name, method.email, method.phone = (details.optional(name) for name in ("name", "email", "phone"))
    method.country, method.postal_code = address.optional("country"), address.optional("postal_code")
    method.line1 = address.optional("line1")
    return context.books.payment_methods.put(method)


def _read_card(method: PaymentMethod, params: Params) -> None:
    params.allow(_CARD_FIELDS | {"token"})
    if token := params.text("token"):  # Stripe.js tokens: tok_visa is pm_card_visa
        row = test_cards.BY_TOKEN.get(token.replace("tok_", "pm_card_", 1))
        if row is None:
            raise missing("token", token, params.name("token"))
        number, expiry, cvc = row.number, (12, datetime.now(UTC).year + 2), "ok"
    else:
        number = params.required("number").replace(" ", "").replace("-", "")
        expiry, cvc = _expiry(params), params.text("cvc")
        _check_number(number, params)
        row = test_cards.BY_NUMBER.get(number, test_cards.UNKNOWN_CARD)
        if cvc and not (cvc.isdigit() and len(cvc) == (4 if row.brand == "amex" else 3)):
            raise _wrong(params, "cvc", "invalid_cvc", "Your card's security code is invalid.")
    method.behaviour = row.token
    method.card = _card(method.account, row, number, expiry, row.cvc_check if cvc else None)


def _expiry(params: Params) -> tuple[int, int]:
    month, year = params.integer("exp_month"), params.integer("exp_year")
    today = datetime.now(UTC)
    if month is None or not 1 <= month <= 12:  # the months
        raise _wrong(params, "exp_month", "invalid_expiry_month", "Your card's expiration month is invalid.")
    year = None if year is None else year + 2000 if year < 100 else year  # two digits
    if year is None or not (today.year, today.month) <= (year, month) or year > today.year + _YEARS_AHEAD:
        raise _wrong(params, "exp_year", "invalid_expiry_year", "Your card's expiration year is invalid.")
    return month, year


def _check_number(number: str, params: Params) -> None:
    if not (number.isascii() and number.isdigit() and 12 <= len(number) <= 19):  # ISO/IEC 7812
        raise _wrong(params, "number", "invalid_number", "The card number is not a valid credit card number.")
    if not test_cards.passes_luhn(number):
        raise _wrong(params, "number", "incorrect_number", "Your card number is incorrect.")


def _wrong(params: Params, name: str, code: str, message: str) -> StripeError:
    return StripeError(402, "card_error", message, code=code, param=params.name(name))


def _card(  # what is on a card
    account: str, row: test_cards.TestCard, number: str, expiry: tuple[int, int], cvc_check: str | None
) -> Card:
    fingerprint = hmac.new(account.encode(), number.encode(), hashlib.sha256).hexdigest()[:16]
    return Card(row.brand, number[-4:], *expiry, fingerprint, row.funding, row.country, cvc_check)


def _read_bank_account(method: PaymentMethod, params: Params) -> None:
    # Stripe wants an IBAN; a US account may also come from its own pages, hence without a number here.
    number = params.required("iban") if method.type == "sepa_debit" else params.text("account_number", "000123456789")
    number = number.replace(" ", "")
    row = bank_accounts.BY_NUMBER.get(number)
    if row is None:
        param = params.name("iban" if method.type == "sepa_debit" else "account_number")
        raise invalid("You must use a test bank account number in test mode.", param=param)
    method.behaviour, method.last4 = row.token, number[-4:]
