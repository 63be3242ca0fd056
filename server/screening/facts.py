"""The facts of a payment in the rules' vocabulary; called by `screening.screen` for each payment.

Those of its past are counted: `screen` adds them.
"""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from server.domain.card import Card, luhn_ok
from server.domain.ids import Prefix, render_id
from server.domain.normal_form import domain_of, one_line, one_line_of
from server.domain.payment import Payment
from server.screening.lookups import NO_TABLES, Tables

Value = str | int | bool | None


def facts_of(  # noqa: PLR0913, PLR0917 - all that a payment's facts are made of, each named
    payment: Payment,
    card: Card | None,
    time_zone: str,
    card_fingerprint: str,
    merchant_since: datetime | None = None,
    tables: Tables = NO_TABLES,
) -> dict[str, Value]:
    """Returns what is known of a payment; what is empty is unknown. Does no I/O.

    Args:
        card: The raw card; None where a token or another method stands for it.
        time_zone: IANA name of the merchant's zone, in which hours and weekdays are counted.
        card_fingerprint: Keyed hash that stands for the card number, or empty.
        merchant_since: When the merchant was registered; None where that is not known.
        tables: Where BINs and addresses are looked up.
    """
    local = payment.created_at.astimezone(ZoneInfo(time_zone))
    return {
        "amount": payment.amount,
        "currency": payment.currency,
        "method": payment.method.value.lower(),
        "processor": payment.processor,
        "payment_id": render_id(Prefix.PAYMENT, payment.id),
        "merchant": render_id(Prefix.MERCHANT, payment.merchant_id),
        "merchant_age_days": None if merchant_since is None else max(0, (payment.created_at - merchant_since).days),
        "description": payment.description,
        "hour": local.hour,
        "weekday": local.isoweekday(),
        **_customer(payment, tables),
        "card": card_fingerprint,
        **_card(payment, card, local, tables),
        **_places(payment),
        # A rule file declares those that it knows; all others are dropped before any rule sees them.
        **{f"metadata_{key}": value for key, value in payment.metadata.items()},
    }


def _customer(payment: Payment, tables: Tables) -> Mapping[str, Value]:
    customer = payment.customer
    origin = tables.ips.find(customer.ip)
    return {
        "customer": customer.id,
        "email": customer.email,
        "email_domain": domain_of(customer.email),
        "phone": customer.phone,
        "ip": customer.ip,
        "ip_country": origin.country,
        "ip_is_proxy": origin.is_proxy,
        "device": customer.device_id,
        "user_agent": customer.user_agent,
    }


def _card(payment: Payment, card: Card | None, local: datetime, tables: Tables) -> Mapping[str, Value]:
    """What the card itself tells, and what the table knows of its issuer; of a token neither is known."""
    if card is None:
        return {"card_brand": payment.card.brand if payment.card else None}
    issuer = tables.bins.find(card.bin)
    return {
        "bin": card.bin,
        "card_brand": issuer.brand or card.brand,
        "card_country": issuer.country,
        "card_funding": issuer.funding,
        # Cards are valid to the end of their month; where the merchant is, another month may have begun already.
        "card_months_left": max(0, 12 * (card.exp_year - local.year) + card.exp_month - local.month),
        "holder_name": one_line(card.holder),
        "card_checksum_ok": luhn_ok(card.number),
        "cvc_given": bool(card.cvc),
    }


def _places(payment: Payment) -> Mapping[str, Value]:
    billing, shipping = payment.billing_address, payment.shipping_address
    return {
        "billing_country": billing.country,
        "billing_postcode": billing.postal_code,
        "billing_address": one_line_of(billing),
        "shipping_country": shipping.country,
        "shipping_postcode": shipping.postal_code,
        "shipping_address": one_line_of(shipping),
    }
