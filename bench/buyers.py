"""Who pays in the benchmarks of storage: merchants and buyers by number.

`pgbench` and `stored` write payments of these in SQL; who sends `order` to the gateway for a merchant of theirs pays as
the same buyer, so that what is stored is the past of what comes.
"""

from typing import Any, Final
from uuid import UUID

MERCHANTS: Final = 100
"""Numbered from 1."""
BUYERS: Final = 20_000
"""Numbered from 1; each has one card, customer's id, e-mail address, IP address, device and parcel address."""
CARD_BIN: Final = "42424242"
MERCHANT_PREFIX: Final = "01900000-0000-7000-8000-"
"""A merchant's id is this and its number in twelve digits."""


def merchant_id(number: int) -> UUID:
    """The id of a merchant."""
    return UUID(f"{MERCHANT_PREFIX}{number:012}")


def order(buyer: int) -> dict[str, Any]:
    """A buyer's order of 19.99 USD as REST takes it, by the one card that the sandbox always charges."""
    address = {"line1": f"{buyer} Harbour Road", "city": "Springfield", "postal_code": "94105", "country": "US"}
    return {
        "amount": 1999,
        "currency": "USD",
        "method": "CREDIT_CARD",
        "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123", "holder": "Ada Byron"},
        "customer": {
            "id": f"cus_{buyer:08}",
            "email": f"ada.{buyer:08}@example.com",
            "ip": f"203.0.{buyer // 250}.{buyer % 250}",
            "device_id": f"dev_{buyer:08}",
            "phone": "+14155550123",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        },
        "billing_address": address,
        "shipping_address": address,
        "description": "Order 1001",
        "metadata": {"order": "1001"},
    }
