"""A ruleset of fifty rules, twelve of which ask the past, for `bench.backtest`; of the size that a shop really has."""

from typing import Final

PAST: Final = (
    ("card_tries_an_hour", 'count("payments", by="card", within="1h") > 4', "score: 0.4"),
    ("customer_tries_an_hour", 'count("payments", by="customer", within="1h") > 5', "score: 0.4"),
    ("device_declines", 'count("declines", by="device", within="24h") > 4', "action: block"),
    ("ip_declines", 'count("declines", by="ip", within="1h") > 3', "action: block"),
    ("cards_by_ip", 'distinct("card", by="ip", within="24h") >= 4', "action: block"),
    ("cards_by_device", 'distinct("card", by="device", within="24h") >= 4', "score: 0.5"),
    ("cards_by_customer", 'distinct("card", by="customer", within="7d") >= 3', "score: 0.4"),
    ("bin_declines", 'count("declines", by="bin", within="1h") > 8', "score: 0.4"),
    ("spending_by_customer", 'sum("payments", by="customer", within="24h") > 2_000', "score: 0.2"),
    ("far_above_habit", 'amount_usd > 3 * average("payments", by="customer", within="90d") + 300', "score: 0.3"),
    ("refunds_by_customer", 'count("refunds", by="customer", within="30d") >= 4', "action: review"),
    ("warned_card", 'count("early_fraud_warnings", by="card", within="ever") > 0', "action: block"),
)  # fmt: skip
"""Id, condition and effect."""

_PLACES: Final = ("NG", "RO", "VN", "RU", "BR", "ID", "UA", "PK", "GH", "CI")
_PLAIN: Final = (
    ("abroad", "ip_country != card_country", "score: 0.2"),
    ("abroad_and_new", "ip_country != billing_country and customer_is_new", "score: 0.3"),
    ("proxy", "ip_is_proxy", "score: 0.2"),
    ("proxy_and_large", "ip_is_proxy and amount_usd > 500", "score: 0.3"),
    ("parcel_abroad", "shipping_country != billing_country", "score: 0.2"),
    ("prepaid_and_large", 'card_funding == "prepaid" and amount_usd > 200', "score: 0.2"),
    ("young_customer_large", "customer_age_days < 2 and amount_usd > 800", "score: 0.3"),
    ("checksum", "not card_checksum_ok", "action: block"),
    ("night", "hour < 5 and amount_usd > 400", "score: 0.1"),
    ("throwaway_mail", 'email.endswith("@mail.example")', "score: 0.3"),
    ("odd_mail", r'matches(email, r"^[0-9a-f]{10}@")', "score: 0.2"),
    ("expiring_card", "card_months_left < 1", "score: 0.1"),
)


def ruleset_text() -> str:
    """The rule file."""
    rules = [*PAST, *_PLAIN]
    rules += [
        (f"from_{place.lower()}", f'ip_country == "{place}" and amount_usd > 100', "score: 0.2") for place in _PLACES
    ]
    rules += [
        (f"tier_{step}", f"{step * 400} < amount_usd <= {(step + 1) * 400} and customer_age_days < 30", "score: 0.1")
        for step in range(1, 51 - len(rules))
    ]
    body = "".join(_rule(*rule) for rule in rules)
    return f"ruleset: bench\nthresholds: {{challenge: 0.4, review: 0.6, block: 0.8}}\nrules:\n{body}"


def _rule(name: str, when: str, effect: str) -> str:
    return f"  - id: {name}\n    when: {when!r}\n    {effect}\n" if "'" not in when else ""
