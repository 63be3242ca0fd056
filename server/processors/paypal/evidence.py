"""Evidence as PayPal takes it: tracking numbers by themselves, all the rest as notes. Pure; `disputes` uses it.

https://developer.paypal.com/docs/disputes/integration-guide/#provide-evidence
"""

from typing import Any

from server.domain.dispute import Evidence

Json = dict[str, Any]

_NOTES_LENGTH = 2000
_NAME_LENGTH = 255
_CARRIERS = frozenset({"DHL", "DPD", "FEDEX", "ROYAL_MAIL", "TNT", "UPS", "USPS"})
"""Those that work everywhere; PayPal knows hundreds more by country, and takes any name as OTHER."""


def evidences(evidence: Evidence) -> Json:
    """Writes the JSON part of `provide-evidence`.

    Raises:
        ValueError: There is none.
    """
    told = [_fulfillment(evidence)] if evidence.shipping_tracking_number else []
    text = _text(evidence)
    pieces = (text[start : start + _NOTES_LENGTH] for start in range(0, len(text), _NOTES_LENGTH))
    told += [{"evidence_type": "OTHER", "notes": piece} for piece in pieces]
    if not told:
        raise ValueError("evidence that says nothing")
    return {"evidences": told}


def _fulfillment(evidence: Evidence) -> Json:
    carrier = "_".join(evidence.shipping_carrier.upper().split())
    tracking = {"carrier_name": carrier, "tracking_number": evidence.shipping_tracking_number[:_NAME_LENGTH]}
    if carrier not in _CARRIERS:
        other = evidence.shipping_carrier[:_NOTES_LENGTH] or "not named"
        tracking |= {"carrier_name": "OTHER", "carrier_name_other": other}
    return {"evidence_type": "PROOF_OF_FULFILLMENT", "evidence_info": {"tracking_info": [tracking]}}


def _text(evidence: Evidence) -> str:
    lines = (
        ("", evidence.explanation),
        ("Product: ", evidence.product_description),
        ("Date of service: ", evidence.service_date and evidence.service_date.isoformat()),
        ("Shipped by: ", evidence.shipping_carrier),
        ("Shipped on: ", evidence.shipping_date and evidence.shipping_date.isoformat()),
        ("Refund policy: ", evidence.refund_policy),
        ("Access log: ", evidence.access_activity_log),
    )
    return "\n\n".join(f"{label}{text}" for label, text in lines if text)
