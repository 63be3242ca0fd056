"""The facts of a payment in the rules' vocabulary; called by `screening.screen` for each payment."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from server.domain.card import Card, luhn_ok
from server.domain.ids import Prefix, render_id
from server.domain.payment import Payment

Value = str | int | bool | None


def facts_of(payment: Payment, card: Card | None, time_zone: str, card_fingerprint: str) -> dict[str, Value]:
    """Returns what is known of a payment; what is empty is unknown.

    Args:
        card: The raw card; None where a token or another method stands for it.
        time_zone: IANA name of the merchant's zone, in which hours and weekdays are counted.
        card_fingerprint: Keyed hash that stands for the card number, or empty.
    """
    local = payment.created_at.astimezone(ZoneInfo(time_zone))
    return {
        "amount": payment.amount,
        "currency": payment.currency,
        "method": payment.method.value.lower(),
        "processor": payment.processor,
        "payment_id": render_id(Prefix.PAYMENT, payment.id),
        "merchant": render_id(Prefix.MERCHANT, payment.merchant_id),
        "description": payment.description,
        "hour": local.hour,
        "weekday": local.isoweekday(),
        "customer": payment.customer.id,
        "email": payment.customer.email,
        "email_domain": payment.customer.email.rpartition("@")[2],
        "ip": payment.customer.ip,
        "device": payment.customer.device_id,
        "card": card_fingerprint,
        "card_brand": payment.card.brand if payment.card else None,
        "card_checksum_ok": luhn_ok(card.number) if card else None,
        "cvc_given": bool(card.cvc) if card else None,
        **_places(payment),
    }


def _places(payment: Payment) -> Mapping[str, Value]:
    billing, shipping = payment.billing_address, payment.shipping_address
    return {
        "billing_country": billing.country,
        "billing_postcode": billing.postal_code,
        "shipping_country": shipping.country,
        "shipping_postcode": shipping.postal_code,
    }
