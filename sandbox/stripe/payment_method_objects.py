"""Payment methods as JSON, with every key of Stripe's fixtures; intents, charges and errors show them."""

from typing import Any

from sandbox.stripe import test_cards
from sandbox.stripe.records import PaymentMethod

Json = dict[str, Any]


def payment_method(method: PaymentMethod) -> Json:
    """https://docs.stripe.com/api/payment_methods/object"""
    rendered: Json = {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(method),
        "created": method.created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": method.metadata,
        "type": method.type,
    }
    if method.card is None:
        return rendered | {method.type: {"last4": method.last4 or None}}
    card = method.card
    return rendered | {
        "card": {
            "brand": card.brand,
            "checks": checks(method),
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "fingerprint": card.fingerprint,
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": None,
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    }


def billing_details(method: PaymentMethod) -> Json:
    """Who pays, as far as it is known."""
    address = dict.fromkeys(("city", "line2", "state"))
    return {
        "address": {**address, "line1": method.line1, "country": method.country, "postal_code": method.postal_code},
        "email": method.email,
        "name": method.name,
        "phone": method.phone,
        "tax_id": None,
    }


def checks(method: PaymentMethod) -> Json:
    """What the issuer said of the security code, and of the address as far as it was given."""
    assert method.card is not None
    row = test_cards.BY_TOKEN[method.behaviour]
    return {
        "address_line1_check": row.avs_line1 if method.line1 else None,
        "address_postal_code_check": row.avs_postcode if method.postal_code else None,
        "cvc_check": method.card.cvc_check,
    }
