"""Stripe's test cards and tokens with their published meaning; `payment_methods` looks them up.

https://docs.stripe.com/testing. Any other number that passes Luhn is declined as a live card would be in test mode.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Challenge(StrEnum):
    """Whether 3-D Secure is asked for."""

    UNSUPPORTED = "unsupported"
    OPTIONAL = "optional"
    """Only where the request asks for it."""
    REQUIRED = "required"


class RefundFate(StrEnum):
    """What becomes of a refund."""

    AT_ONCE = "at_once"
    PENDING = "pending"
    """It is pending at first and succeeds later."""
    FAILS = "fails"
    """It succeeds at first and fails later."""


@dataclass(frozen=True, slots=True)
class TestCard:
    """A test card.

    Attributes:
        decline: Key of `DECLINES`; empty: it is charged.
        dispute: Reason of the dispute that arrives by itself; empty: none.
        warned: An early fraud warning arrives by itself.
        avs_line1: What the issuer says of the street, where it is given; `avs_postcode` of the postcode.
    """

    __test__ = False  # For pytest, which collects by name.

    token: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    decline: str = ""
    challenge: Challenge = Challenge.UNSUPPORTED
    dispute: str = ""
    refund: RefundFate = RefundFate.AT_ONCE
    risk: str = "normal"
    cvc_check: str = "pass"
    avs_line1: str = "pass"
    avs_postcode: str = "pass"
    warned: bool = False


_DECLINED = "Your card was declined."
DECLINES: Final = {
    "generic_decline": ("card_declined", "generic_decline", _DECLINED),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "lost_card": ("card_declined", "lost_card", _DECLINED),
    "stolen_card": ("card_declined", "stolen_card", _DECLINED),
    "card_velocity_exceeded": ("card_declined", "card_velocity_exceeded", _DECLINED),
    "fraudulent": ("card_declined", "fraudulent", _DECLINED),
    "test_mode_live_card": (
        "card_declined",
        "test_mode_live_card",
        "Your card was declined. Your request was in test mode, but used a non test card.",
    ),
    "expired_card": ("expired_card", None, "Your card has expired."),
    "incorrect_cvc": ("incorrect_cvc", None, "Your card's security code is incorrect."),
    "processing_error": ("processing_error", None, "An error occurred while processing your card. Try again later."),
    "authentication_required": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}
"""Behaviour to `code`, `decline_code` and message."""

_REQUIRED = Challenge.REQUIRED
UNKNOWN_CARD: Final = TestCard("unknown", "", brand="unknown", decline="test_mode_live_card")
_CARDS: Final = (
    TestCard("pm_card_visa", "4242424242424242"),
    TestCard("pm_card_visa_debit", "4000056655665556", funding="debit"),
    TestCard("pm_card_mastercard", "5555555555554444", "mastercard"),
    TestCard("mastercard_2_series", "2223003122003222", "mastercard"),
    TestCard("pm_card_mastercard_debit", "5200828282828210", "mastercard", "debit"),
    TestCard("pm_card_mastercard_prepaid", "5105105105105100", "mastercard", "prepaid"),
    TestCard("pm_card_amex", "378282246310005", "amex"),
    TestCard("amex_2", "371449635398431", "amex"),
    TestCard("pm_card_discover", "6011111111111117", "discover"),
    TestCard("discover_2", "6011000990139424", "discover"),
    TestCard("discover_debit", "6011981111111113", "discover", "debit"),
    TestCard("pm_card_diners", "3056930009020004", "diners"),
    TestCard("diners_14_digits", "36227206271667", "diners"),
    TestCard("pm_card_jcb", "3566002020360505", "jcb"),
    TestCard("pm_card_unionpay", "6200000000000005", "unionpay"),
    TestCard("pm_card_us", "4242424242424242"),
    TestCard("pm_card_br", "4000000760000002", country="BR"),
    TestCard("pm_card_ca", "4000001240000000", country="CA"),
    TestCard("pm_card_mx", "4000004840008001", country="MX"),
    TestCard("pm_card_de", "4000002760000016", country="DE"),
    TestCard("pm_card_fr", "4000002500000003", country="FR"),
    TestCard("pm_card_gb", "4000008260000000", country="GB"),
    TestCard("pm_card_jp", "4000003920000003", "jcb", country="JP"),
    TestCard("pm_card_au", "4000000360000006", country="AU"),
    TestCard("pm_card_bypassPending", "4000000000000077"),
    TestCard("pm_card_visa_chargeDeclined", "4000000000000002", decline="generic_decline"),
    TestCard("pm_card_chargeDeclined", "4000000000000002", decline="generic_decline"),
    TestCard("pm_card_visa_chargeDeclinedInsufficientFunds", "4000000000009995", decline="insufficient_funds"),
    TestCard("pm_card_chargeDeclinedInsufficientFunds", "4000000000009995", decline="insufficient_funds"),
    TestCard("pm_card_visa_chargeDeclinedLostCard", "4000000000009987", decline="lost_card"),
    TestCard("pm_card_visa_chargeDeclinedStolenCard", "4000000000009979", decline="stolen_card"),
    TestCard("pm_card_chargeDeclinedExpiredCard", "4000000000000069", decline="expired_card"),
    TestCard("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", decline="incorrect_cvc", cvc_check="fail"),
    TestCard("pm_card_chargeDeclinedProcessingError", "4000000000000119", decline="processing_error"),
    TestCard("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "4000000000006975", decline="card_velocity_exceeded"),
    TestCard("pm_card_chargeCustomerFail", "4000000000000341", decline="generic_decline"),
    TestCard("pm_card_radarBlock", "4100000000000019", decline="fraudulent", risk="highest"),
    TestCard("pm_card_riskLevelHighest", "4000000000004954", decline="fraudulent", risk="highest"),
    TestCard("pm_card_riskLevelElevated", "4000000000009235", risk="elevated"),
    TestCard("pm_card_cvcCheckFail", "4000000000000101", cvc_check="fail"),
    TestCard("pm_card_avsFail", "4000000000000010", avs_line1="fail", avs_postcode="fail"),
    TestCard("pm_card_avsLine1Fail", "4000000000000028", avs_line1="fail"),
    TestCard("pm_card_avsZipFail", "4000000000000036", avs_postcode="fail"),
    TestCard("pm_card_avsUnchecked", "4000000000000044", avs_line1="unavailable", avs_postcode="unavailable"),
    TestCard("pm_card_createIssuerFraudRecord", "4000000000005423", warned=True),
    TestCard("pm_card_createDispute", "4000000000000259", dispute="fraudulent"),
    TestCard("pm_card_createDisputeProductNotReceived", "4000000000002685", dispute="product_not_received"),
    TestCard("pm_card_createDisputeInquiry", "4000000000001976", dispute="inquiry"),
    TestCard("pm_card_pendingRefund", "4000000000007726", refund=RefundFate.PENDING),
    TestCard("pm_card_refundFail", "4000000000005126", refund=RefundFate.FAILS),
    TestCard("pm_card_threeDSecure2Required", "4000000000003220", challenge=_REQUIRED),
    TestCard("pm_card_threeDSecureRequired", "4000000000003063", challenge=_REQUIRED),
    TestCard("pm_card_authenticationRequiredOnSetup", "4000002500003155", challenge=_REQUIRED),
    TestCard("pm_card_authenticationRequired", "4000002760003184", challenge=_REQUIRED),
    TestCard("pm_card_threeDSecureOptional", "4000000000003055", challenge=Challenge.OPTIONAL),
    TestCard(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        challenge=_REQUIRED,
        decline="insufficient_funds",
    ),
    TestCard(
        "pm_card_threeDSecureRequiredChargeDeclined",
        "4000008400001629",
        challenge=_REQUIRED,
        decline="generic_decline",
    ),
)

BY_TOKEN: Final = {card.token: card for card in (*_CARDS, UNKNOWN_CARD)}
BY_NUMBER: Final = {card.number: card for card in reversed(_CARDS)}


def passes_luhn(number: str) -> bool:
    """Tells whether the check digit is right."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # the sum of digits
