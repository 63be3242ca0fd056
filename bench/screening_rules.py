"""The rules that `bench.screening` measures with: of all kinds that analysts write, a third of them over the past."""

from collections.abc import Sequence

_PAST: Sequence[tuple[str, str]] = (
    ('count("payments", by="card", within="1h")', "count_payments_by_card_1h"),
    ('count("declines", by="card", within="24h")', "count_declines_by_card_24h"),
    ('count("payments", by="customer", within="1h")', "count_payments_by_customer_1h"),
    ('count("payments", by="customer", within="24h")', "count_payments_by_customer_24h"),
    ('count("declines", by="ip", within="1h")', "count_declines_by_ip_1h"),
    ('count("payments", by="ip", within="24h")', "count_payments_by_ip_24h"),
    ('count("payments", by="device", within="24h")', "count_payments_by_device_24h"),
    ('count("refunds", by="customer", within="30d")', "count_refunds_by_customer_30d"),
    ('distinct("card", by="ip", within="24h")', "distinct_card_by_ip_24h"),
    ('distinct("card", by="customer", within="7d")', "distinct_card_by_customer_7d"),
    ('distinct("email", by="card", within="7d")', "distinct_email_by_card_7d"),
    ('distinct("customer", by="device", within="30d")', "distinct_customer_by_device_30d"),
)
VELOCITY = len(_PAST)
VELOCITY_NAMES = tuple(name for _, name in _PAST)

_SHAPES: Sequence[str] = (
    "{past} > {many}",
    "amount_usd > {large}",
    "{past} > {many} and amount_usd > {large}",
    "billing_country != shipping_country and amount_usd > {large}",
    'email.endswith("@mail{number}.example") and {past} > {many}',
    "hour < 6 and {past} >= {many} and not customer_is_new",
    'billing_country in ["AA", "AB", "{letters}"] and amount > {large}00',
    'ip in list("office_ips") and amount_usd > {large}',
    'card_brand == "amex" and ({past} > {many} or amount_usd > {large})',
    'matches(email, r"^[a-z]+{number}@") and amount_usd > {large}',
    "not cvc_given and {past} > {many}",
    "{past} > {many} + {other}",
)


def rule_file(count: int) -> str:
    """Writes a ruleset of `count` live rules over `VELOCITY` numbers of the past."""
    rules = [_rule(number) for number in range(count)]
    return "ruleset: bench\nthresholds: {challenge: 0.5, review: 0.7, block: 0.9}\nrules:\n" + "".join(rules)


def _rule(number: int) -> str:
    when = _SHAPES[number % len(_SHAPES)].format(
        past=_PAST[(number * 5 + number // len(_SHAPES)) % VELOCITY][0],
        other=_PAST[(number * 7 + 3) % VELOCITY][0],
        many=5 + number % 17,
        large=500 + 13 * number,
        letters=f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}",
        number=number,
    )
    return f"  - id: rule_{number}\n    when: '{when}'\n    score: 0.1\n"
