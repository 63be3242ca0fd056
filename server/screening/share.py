"""Which customers a candidate decides for. Called by `screen` for each payment while there is a candidate."""

import hashlib

from fraud_rules import Facts

_WHO = ("customer", "card", "email", "ip", "payment_id")


def in_share(key: str, percent: int, facts: Facts) -> bool:
    """Says whether a share includes whoever pays: always the same answer for the same key and customer.

    Who pays is the first of customer, card, email, ip and payment that is known. A larger share of the same key holds
    the smaller one.
    """
    who = next((f"{name}\0{facts[name]}" for name in _WHO if facts.get(name)), "")
    digest = hashlib.sha256(f"{key}\0{who}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < percent
