"""PayPal's `money` objects, read with PayPal's refusals and written; integers in the smallest unit PayPal writes."""

import re
from typing import Any, Final

from sandbox.currencies import PAYPAL_CURRENCIES, PAYPAL_WHOLE, decimal_text, paypal_exponent
from sandbox.paypal.errors import PayPalError

_VALUE: Final = re.compile(r"-?[0-9]{1,15}(?:\.([0-9]+))?")


def read_money(value: Any, field: str, *, whole_issue: str = "DECIMALS_NOT_SUPPORTED") -> tuple[int, str]:
    """Reads amount and currency.

    Args:
        whole_issue: What PayPal calls decimals of a currency that has none, which depends on the API.

    Raises:
        PayPalError: It is malformed, or nothing that PayPal can move.
    """
    if not isinstance(value, dict):
        raise PayPalError("INVALID_PARAMETER_SYNTAX", field=field)
    for name in ("currency_code", "value"):
        if not value.get(name):
            raise PayPalError("MISSING_REQUIRED_PARAMETER", field=f"{field}/{name}")
    currency, text = value["currency_code"], value["value"]
    match = _VALUE.fullmatch(text) if isinstance(text, str) else None
    if match is None or not isinstance(currency, str):
        raise PayPalError("INVALID_PARAMETER_SYNTAX", field=f"{field}/value")
    if currency not in PAYPAL_CURRENCIES:
        raise PayPalError("INVALID_CURRENCY_CODE", field=f"{field}/currency_code")
    decimals = match.group(1) or ""
    if decimals and currency in PAYPAL_WHOLE:
        raise PayPalError(whole_issue, field=f"{field}/value")
    if len(decimals) > 2:
        raise PayPalError("DECIMAL_PRECISION", field=f"{field}/value")
    exponent = paypal_exponent(currency)
    amount = int(text.replace(".", "") + "0" * (exponent - len(decimals)))
    if amount <= 0:
        raise PayPalError("CANNOT_BE_ZERO_OR_NEGATIVE", field=f"{field}/value")
    return amount, currency


def money(amount: int, currency: str) -> dict[str, str]:
    """Writes a `money` object."""
    return {"currency_code": currency, "value": decimal_text(amount, paypal_exponent(currency))}


def fee_of(amount: int) -> int:
    """The sandbox's fee: 3.49 % and 49 units, half up."""
    return (amount * 349 + 5000) // 10_000 + 49
