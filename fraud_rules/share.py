"""Which customers a partial rollout includes: always the same ones. Asked by `ruleset`, and by staged rollouts."""

import hashlib
from typing import Final

from fraud_rules.facts import MAX_TEXT, VOCABULARY, Facts

STABLE_BY: Final = ("customer", "card", "email", "ip", "payment_id")
"""The first of these that is known stands for the customer."""


def in_share(key: str, facts: Facts, percent: int) -> bool:
    """Says whether a share includes the payment's customer: always the same answer for the same key and customer.

    Where nothing is known that could stand for the customer, only the whole of 100 percent includes the payment.

    Args:
        key: What is rolled out, such as a rule's id; each key draws its own share.
        facts: By name, as given to `Ruleset.decide` or as a decision keeps them.
        percent: 0 to 100.
    """
    if percent >= 100:
        return True
    for name in STABLE_BY:
        value = facts.get(name)
        if isinstance(value, str) and value:
            told = VOCABULARY[name].normalise(value[:MAX_TEXT])[:MAX_TEXT].encode("utf-8", "replace")
            digest = hashlib.sha256(f"{key}\0{name}\0".encode() + told).digest()
            return int.from_bytes(digest[:8], "big") % 100 < percent
    return False
