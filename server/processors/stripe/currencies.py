"""What Stripe can do: its capability table, and amounts as Stripe writes them."""

from datetime import timedelta

from server.domain.payment import Method
from server.processors.capabilities import currency_table, from_wire, to_wire
from server.processors.contract import Capabilities, MethodRule

# https://docs.stripe.com/currencies. ISK and UGX have no decimals and are written with two that must be 00; MGA is
# written without its decimals; amounts with three decimals must end in 0.
_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY COP"
    " CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD"
    " JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN"
    " NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD"
    " SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
CURRENCIES = currency_table(
    _CODES,
    exponents={"ISK": 2, "UGX": 2, "MGA": 0},
    steps={"BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10},
)

_CARD = MethodRule(holds=True, partial_capture=True, challenge=True)
_KEY_LIFETIME = timedelta(hours=24)
"""At least: https://docs.stripe.com/api/idempotent_requests"""

CAPABILITIES = Capabilities(
    methods={
        Method.CREDIT_CARD: _CARD,
        Method.DEBIT_CARD: _CARD,
        # https://docs.stripe.com/payments/payment-methods/payment-method-support: neither can be captured later.
        Method.BANK_TRANSFER: MethodRule(holds=False, partial_capture=False, currencies=frozenset({"USD", "EUR"})),
        Method.CRYPTOCURRENCY: MethodRule(holds=False, partial_capture=False, currencies=frozenset({"USD"})),
    },
    currencies=CURRENCIES,
    key_lifetime=dict.fromkeys(("Authorization", "Capture", "Void", "Refund"), _KEY_LIFETIME),
    # https://docs.stripe.com/payments/place-a-hold-on-a-payment-method: what every network grants to online cards.
    authorization_lifetime=timedelta(days=7),
    # Cards know no limit; https://docs.stripe.com/payments/ach-direct-debit#refunds and SEPA allow 180 days.
    refund_maximum_age=timedelta(days=180),
)


def wire_amount(currency: str, amount: int) -> int:
    """Turns minor units (ISO 4217) of an upper-case currency into Stripe's units.

    Raises:
        ValueError: Stripe cannot express it.
    """
    return to_wire(CURRENCIES[currency], currency, amount)


def our_amount(currency: str, amount: int) -> int:
    """Turns Stripe's units of an upper-case currency into minor units (ISO 4217).

    Raises:
        KeyError, ValueError: Stripe speaks of an amount that does not exist.
    """
    if not isinstance(amount, int):
        raise ValueError("an amount that is no integer")
    return from_wire(CURRENCIES[currency], currency, amount)
