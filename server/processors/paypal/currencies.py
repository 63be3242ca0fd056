"""What PayPal can do: its capability table, and amounts as PayPal writes them."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from server.domain.payment import Method
from server.processors.capabilities import currency_table, from_wire, to_wire
from server.processors.contract import Capabilities, MethodRule

# https://developer.paypal.com/api/rest/reference/currency-codes/: no decimals for HUF, JPY and TWD.
CURRENCIES = currency_table(
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN SEK SGD THB TWD USD",
    exponents={"HUF": 0, "TWD": 0},
    steps={},
)
_PAYMENTS_KEY_LIFETIME = timedelta(days=45)

CAPABILITIES = Capabilities(
    methods={Method.DIGITAL_WALLET: MethodRule(holds=True, partial_capture=True)},
    currencies=CURRENCIES,
    # https://developer.paypal.com/api/rest/reference/idempotency/
    key_lifetime={
        "Authorization": timedelta(hours=6),
        "Capture": _PAYMENTS_KEY_LIFETIME,
        "Void": _PAYMENTS_KEY_LIFETIME,
        "Refund": _PAYMENTS_KEY_LIFETIME,
    },
    # https://developer.paypal.com/docs/checkout/standard/customize/authorization/
    authorization_lifetime=timedelta(days=29),
    # https://developer.paypal.com/docs/api/payments/v2/#captures_refund
    refund_maximum_age=timedelta(days=180),
)


def write_money(currency: str, amount: int) -> dict[str, str]:
    """Turns minor units (ISO 4217) into PayPal's money object.

    Raises:
        KeyError, ValueError: PayPal cannot express it.
    """
    rule = CURRENCIES[currency]
    value = Decimal(to_wire(rule, currency, amount)).scaleb(-rule.exponent)
    return {"currency_code": currency, "value": f"{value:.{rule.exponent}f}"}


def read_money(money: Mapping[str, Any]) -> tuple[int, str]:
    """Turns PayPal's money object into minor units (ISO 4217) and currency.

    Raises:
        KeyError, ValueError, ArithmeticError: PayPal speaks of an amount that does not exist.
    """
    currency = str(money["currency_code"])
    rule = CURRENCIES[currency]
    scaled = Decimal(money["value"]).scaleb(rule.exponent)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"an amount of {currency} with too many decimals")
    return from_wire(rule, currency, int(scaled)), currency
