"""What a card's issuer said of address, security code and 3-D Secure, in the rules' words. Pure; `intents` uses it.

https://docs.stripe.com/api/charges/object#charge_object-payment_method_details-card
"""

from collections.abc import Mapping
from typing import Any

_CHECKS = {
    "address_line1_check": "avs_address",
    "address_postal_code_check": "avs_postcode",
    "cvc_check": "cvc_check",
}
_CHECKED = frozenset({"pass", "fail", "unavailable", "unchecked"})
_AUTHENTICATED = frozenset(
    {"authenticated", "attempt_acknowledged", "exempted", "failed", "not_supported", "processing_error"}
)


def checks_of(holder: Any) -> dict[str, str]:
    """Reads the checks of a charge's `payment_method_details`, or of a payment method.

    A payment is as good without them, so what is not there, or not as Stripe describes it, is not known.
    """
    card = _part(holder, "card")
    checks, secure = _part(card, "checks"), _part(card, "three_d_secure")
    found = {ours: checks.get(theirs) for theirs, ours in _CHECKS.items()}
    known = {name: value for name, value in found.items() if isinstance(value, str) and value in _CHECKED}
    result = secure.get("result")
    if isinstance(result, str) and result in _AUTHENTICATED:
        known["three_d_secure"] = result
    return known


def _part(holder: Any, name: str) -> Mapping[str, Any]:
    part = holder.get(name) if isinstance(holder, Mapping) else None
    return part if isinstance(part, Mapping) else {}
