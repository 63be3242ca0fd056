"""How Stripe and PayPal count money, and the same in ISO 4217 minor units; amounts are integers or decimal text."""

from decimal import Decimal
from typing import Final


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ISO_WHOLE: Final = _codes("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF")
_ISO_THOUSANDTHS: Final = _codes("BHD IQD JOD KWD LYD OMR TND")

# https://docs.stripe.com/currencies: ISK and UGX are written with two decimals that must be zero, MGA with none.
_STRIPE_WHOLE: Final = _codes("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF")
_STRIPE_HUNDREDS: Final = frozenset({"ISK", "UGX"})
STRIPE_CURRENCIES: Final = _codes(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF "
    "CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK "
    "MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB "
    "RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND "
    "VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
STRIPE_MINIMUM: Final = {
    "USD": 50, "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50,
    "GBP": 30, "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50,
    "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000,
}  # fmt: skip
"""Smallest charge in Stripe's units, https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts."""

# https://developer.paypal.com/api/rest/reference/currency-codes/
PAYPAL_CURRENCIES: Final = _codes(
    "AUD BRL CAD CNY CZK DKK EUR HKD HUF ILS JPY MYR MXN TWD NZD NOK PHP PLN GBP SGD SEK CHF THB USD"
)
PAYPAL_WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})


def iso_exponent(currency: str) -> int:
    """Decimals of an ISO 4217 code."""
    return 0 if currency in _ISO_WHOLE else 3 if currency in _ISO_THOUSANDTHS else 2


def stripe_exponent(currency: str) -> int:
    """Decimals in which Stripe writes an ISO 4217 code."""
    return 0 if currency in _STRIPE_WHOLE else 3 if currency in _ISO_THOUSANDTHS else 2


def stripe_step(currency: str) -> int:
    """What an amount in Stripe's units must be a multiple of."""
    return 100 if currency in _STRIPE_HUNDREDS else 10 if currency in _ISO_THOUSANDTHS else 1


def paypal_exponent(currency: str) -> int:
    """Decimals in which PayPal writes an ISO 4217 code."""
    return 0 if currency in PAYPAL_WHOLE else 2


def decimal_text(amount: int, exponent: int) -> str:
    """Writes an integer amount with its decimals: 1050 with two is `10.50`."""
    return f"{Decimal(amount).scaleb(-exponent):.{exponent}f}"


def to_iso(amount: int, currency: str, exponent: int) -> int:
    """Turns an amount written with `exponent` decimals into ISO 4217 minor units.

    Raises:
        ValueError: It has decimals that the currency does not know.
    """
    exact = Decimal(amount).scaleb(iso_exponent(currency) - exponent)
    if exact != int(exact):
        raise ValueError(f"{amount} with {exponent} decimals is no amount of {currency}")
    return int(exact)
