"""One payment of the generated file: its columns, and an ordinary payment of a customer. Called by `payments`."""

from dataclasses import dataclass
from random import Random

from bench.people import Customer, Merchant


@dataclass(slots=True)
class Row:
    """A payment before it is written; times are seconds since 1970. `fraud` names the pattern, or is empty."""

    at: float
    merchant: str
    amount: int
    currency: str
    customer: str
    customer_age_days: int
    customer_is_new: bool
    email: str
    ip: str
    ip_country: str
    ip_is_proxy: bool
    device: str
    card: str
    bin: str
    card_brand: str
    card_country: str
    card_funding: str
    card_months_left: int
    card_checksum_ok: bool
    holder_name: str
    billing_country: str
    billing_postcode: str
    shipping_country: str
    shipping_address: str
    cvc_check: str
    avs_postcode: str
    approved: bool
    decline_code: str
    blocked: bool = False
    refunded_at: float | None = None
    fraud: str = ""


def row_of(random: Random, who: Customer, shop: Merchant, at: float, amount: int) -> Row:
    """An ordinary payment: one in forty from abroad, one in thirty to another country, one in twenty-five declined."""
    draw = random.random()
    approved = draw > 0.04
    country = who.country
    travels = 0.5 < draw < 0.525
    elsewhere = 0.6 < draw < 0.633
    return Row(
        at,
        shop.id,
        amount,
        shop.currency,
        who.id,
        who.since,
        who.since == 0,
        who.email,
        who.ip if not travels else f"203.0.{int(draw * 1e4) % 256}.{int(draw * 1e6) % 256}",
        country if not travels else "TH",
        0.7 < draw < 0.715,
        who.device,
        who.card,
        who.bin,
        who.brand,
        country,
        who.funding,
        who.months_left,
        True,
        who.name,
        country,
        who.postcode,
        "" if shop.digital else "MX" if elsewhere else country,
        "" if shop.digital else f"{who.street}, {who.postcode}, {country.lower()}",
        "pass" if approved else "fail" if draw < 0.01 else "unchecked",
        "fail" if 0.8 < draw < 0.83 else "pass",
        approved,
        "" if approved else "insufficient_funds" if draw < 0.025 else "do_not_honor",
    )
