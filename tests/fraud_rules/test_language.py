"""What a `when` may say, what it means, and how its mistakes are told."""

from collections.abc import Mapping

import pytest

from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.evaluator import compile_conditions
from fraud_rules.facts import Value
from fraud_rules.parser import parse_condition
from fraud_rules.source import ExpressionError

AVERAGE = "average_approvals_by_email_domain_30d"
EVERYWHERE = 'write count("payments", by="card", within="24h", across="platform")'
LAST_DECLINE = "last_decline_code_by_card_ever"
LISTS = {"office_ips": ("203.0.113.0/24", "198.51.100.7", "2001:db8::/32"), "domains": ("Example.com",)}


def truth(when: str, facts: Mapping[str, Value]) -> bool | None:
    """Evaluates by both back ends, which must agree on what is true."""
    condition = parse_condition(when, LISTS)
    [found] = compile_conditions([condition])(facts)
    engine = Engine(compile_program([condition]))
    try:
        assert bool(engine.match(facts)) is (found is True)
    finally:
        engine.close()
    return found


@pytest.mark.parametrize(
    ("when", "facts", "expected"),
    [
        ("amount_usd > 10_000", {"amount_usd": 1_000_001}, True),
        ("amount_usd > 10_000", {"amount_usd": 1_000_000}, False),
        ("amount_usd == 99.50", {"amount_usd": 9_950}, True),
        ("10 < amount <= 20", {"amount": 20}, True),
        ("10 < amount <= 20", {"amount": 10}, False),
        ("-5 < amount", {"amount": 0}, True),
        ("2 * amount - 10 >= 3 + 1", {"amount": 7}, True),
        ("2 * amount - 10 >= 3 + 1", {"amount": 6}, False),
        (
            'amount > amount * count("payments", by="ip", within="1h")',
            {"amount": 5, "count_payments_by_ip_1h": 0},
            True,
        ),
        ('amount_usd > 2 * sum("payments", by="card", within="30d") + 5', {"amount_usd": 701}, None),
        (
            'amount_usd > 2 * sum("payments", by="card", within="30d") + 5',
            {"amount_usd": 701, "sum_payments_by_card_30d": 100},
            True,
        ),
        (
            'amount_usd > 2 * sum("payments", by="card", within="30d") + 5',
            {"amount_usd": 700, "sum_payments_by_card_30d": 100},
            False,
        ),
        (
            'distinct("merchant", by="card", within="1h", across="platform") >= 5 > count("payments", by="card", '
            'within="1h")',
            {"distinct_merchant_by_card_across_platform_1h": 5, "count_payments_by_card_1h": 4},
            True,
        ),
        (
            'count("payments", by="card", within="1h", across="platform") > 1',
            {"count_payments_by_card_1h": 5},
            None,
        ),
        ("billing_country != shipping_country", {"billing_country": "US", "shipping_country": "USA"}, True),
        ("billing_country == shipping_country", {"billing_country": "US", "shipping_country": "US"}, True),
        ("customer_is_new == ip_is_proxy", {"customer_is_new": False, "ip_is_proxy": False}, True),
        ("card_checksum_ok", {"card_checksum_ok": True}, True),
        ("not card_checksum_ok", {"card_checksum_ok": False}, True),
        ("card_checksum_ok == false", {"card_checksum_ok": False}, True),
        ('card_country in ["us", "CA"]', {"card_country": "US"}, True),
        ('card_country not in ("US", "CA")', {"card_country": "MX"}, True),
        ("weekday in [6, 7]", {"weekday": 7}, True),
        ("amount_usd in [10, 99.50]", {"amount_usd": 9_950}, True),
        ('ip in list("office_ips")', {"ip": "203.0.113.200"}, True),
        ('ip in list("office_ips")', {"ip": "198.51.100.7"}, True),
        ('ip in list("office_ips")', {"ip": "2001:db8::1"}, True),
        ('ip in list("office_ips")', {"ip": "198.51.100.8"}, False),
        ('ip in list("office_ips")', {"ip": "no address"}, False),
        ('email_domain in list("domains")', {"email_domain": "example.com"}, True),
        ('email.endswith("@EXAMPLE.com")', {"email": "a@example.com"}, True),
        ('email.startswith("a")', {"email": "ba@example.com"}, False),
        ('"+" in email', {"email": "a+b@example.com"}, True),
        ('"+" not in email', {"email": "ab@example.com"}, True),
        (r'matches(email, r"^\d+@X")', {"email": "12@x.org"}, True),
        (r'matches(description, r"gift\s*card")', {"description": "a giftcard"}, True),
        ('average("approvals", by="email_domain", within="30d") > 99.50', {AVERAGE: 9_951}, True),
        ('seconds_since_last("payments", by="card") < 60', {"seconds_since_last_payments_by_card_ever": 59}, True),
        ('seconds_since_last("payments", by="card") < 60', {}, None),
        ('seconds_since_last("payments", by="card") < "1m"', {"seconds_since_last_payments_by_card_ever": 59}, True),
        ('seconds_since_last("payments", by="card") < "1m"', {"seconds_since_last_payments_by_card_ever": 60}, False),
        ('"2h" <= seconds_since_first("payments", by="ip")', {"seconds_since_first_payments_by_ip_ever": 7_200}, True),
        (
            '2 * seconds_since_last("payments", by="ip") > "1d"',
            {"seconds_since_last_payments_by_ip_ever": 43_201},
            True,
        ),
        ('seconds_since_last("payments", by="ip") in ["1m", 5]', {"seconds_since_last_payments_by_ip_ever": 60}, True),
        ('first_seen("payments", by="card")', {"first_seen_payments_by_card_ever": True}, True),
        ('not first_seen("approvals", by="card", within="1d")', {"first_seen_approvals_by_card_1d": True}, False),
        ('last("cvc_check", by="card") == "FAIL"', {"last_cvc_check_by_card_ever": "fail"}, True),
        ('matches(last("decline_code", by="card"), r"stolen|LOST")', {LAST_DECLINE: "lost_card"}, True),
        ("description == \"a 'quoted' one\"", {"description": "a 'quoted' one"}, True),
        ('description == "ü"', {"description": "ü"}, True),
        ('method == "CREDIT_CARD"', {"method": "credit_card"}, True),
        ("amount > 5 or\n    amount < 2  # small\n", {"amount": 1}, True),
        ('count("payments", by="customer", within="1h") > 10', {"count_payments_by_customer_1h": 11}, True),
        ('distinct("card", by="ip", within="ever") > 1', {"distinct_card_by_ip_ever": 2}, True),
    ],
)
def test_expressions_mean_what_they_say(when: str, facts: Mapping[str, Value], expected: bool | None) -> None:
    assert truth(when, facts) is expected


UNKNOWN = [
    "amount > 5",
    "amount != 5",
    "2 * amount - 1 > amount",
    "card_checksum_ok",
    'email == "a"',
    'email in ["a", "b"]',
    'ip in list("office_ips")',
    'email.startswith("a")',
    '"a" in email',
    'matches(email, r"a")',
    "billing_country == shipping_country",
]


@pytest.mark.parametrize("when", UNKNOWN)
def test_a_comparison_with_an_unknown_fact_is_unknown_and_so_is_its_negation(when: str) -> None:
    assert truth(when, {}) is None
    assert truth(f"not ({when})", {}) is None
    assert truth(f"not not ({when})", {}) is None


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("known(hour)", False),
        ("not known(hour)", True),
        ("known(amount)", True),
        ("amount > 5 or hour > 5", True),
        ("hour > 5 or amount > 5", True),
        ("amount > 5 and hour > 5", None),
        ("amount < 5 and hour > 5", False),
        ("not (amount < 5 and hour > 5)", True),
        ("not (amount > 5 or hour > 5)", False),
        ("not (amount < 5 or hour > 5)", None),
        ("known(hour) or hour > 5", None),
        ("not known(hour) and amount == 6", True),
        ("billing_country != shipping_country", None),
        ("billing_country == billing_country", True),
        ('known(count("payments", by="card", within="1h"))', False),
    ],
)
def test_half_known_conditions_follow_kleene(when: str, expected: bool | None) -> None:
    assert truth(when, {"amount": 6, "billing_country": "US"}) is expected


@pytest.mark.parametrize(
    ("when", "offset", "message", "hint"),
    [
        ("amont > 5", 0, "unknown fact 'amont'", "did you mean 'amount'?"),
        ("amount > 5 and amuont_usd > 3", 15, "unknown fact 'amuont_usd'", "did you mean 'amount_usd'?"),
        ("amount > 5 and\n  foo == 3", 17, "unknown fact 'foo'", ""),
        ("amount > 5 and\r\r foo == 3", 17, "unknown fact 'foo'", ""),
        ("amount > 5 and\r\n foo == 3", 17, "unknown fact 'foo'", ""),
        ("amount > 5 and\n (amount +\n 1)", 17, "amount + 1 is not true or false", ""),
        ("é == 1", 0, "unknown fact 'é'", ""),
        ('email == "é" and foo', 17, "unknown fact 'foo'", ""),
        ("amount > 5 amd hour", 0, "not an expression", "all in lower case"),
        ("amount = 5", 0, "not an expression", "compare with =="),
        ("email > 5", 8, "text compared with integer", "one type"),
        ('seconds_since_last("payments", by="card") < "soon"', 44, "'soon' is no length of time", "write it like"),
        ('count("payments", by="card", within="1h") < "1h"', 44, "integer compared with text", "one type"),
        ('amount > "1h"', 9, "integer compared with text", "one type"),
        ("metadata_gift == 3", 0, "unknown fact 'metadata_gift'", "declare it at the top"),
        ("email > billing_country", 8, "> compares numbers", "== or !="),
        ("amount_usd > amount", 13, "US cents compared with minor units", "one unit"),
        ("amount + hour > 3", 0, "minor units and hour of the day do not add up", ""),
        ("amount_usd * amount_usd > 3", 0, "has no meaning", "multiply by a number"),
        ("amount / 2 > 3", 0, "not in the language", "multiply the other side"),
        ("amount % 2 > 3", 0, "not in the language", ""),
        ("amount ** 2 > 3", 0, "not in the language", ""),
        ("amount > 1.5", 9, "a fraction", ""),
        ("amount_usd > 1.505", 13, "a fraction of a cent", "two decimals"),
        ("amount > 9007199254740992", 9, "out of range", ""),
        ("amount_usd > 9007199254740991", 13, "out of range", ""),
        ("amount > 1e5", 9, "not a decimal number", ""),
        ("amount > 0x10", 9, "not a decimal number", ""),
        ("5 > 3", 0, "both sides are constants", ""),
        ("amount", 0, "amount is not true or false", ""),
        ("true", 0, "true is not true or false", ""),
        ('billing_country == ""', 19, "an empty text is unknown", "known(billing_country)"),
        ('method == "cash"', 10, "method is never 'cash'", "it is one of"),
        ('method == "credit_crad"', 10, "method is never", "did you mean 'credit_card'?"),
        ('email == "a\\n"', 9, "a backslash", "put an r"),
        ('email.foo("a")', 0, "there is no .foo", ""),
        ('email.endwith("a")', 0, "there is no .endwith", "did you mean 'endswith'?"),
        ('amount.endswith("a")', 0, "amount is of type integer", ""),
        ('email.endswith("")', 15, "every text holds the empty text", ""),
        ('matches(email, r"(?=a)")', 15, "not a pattern", "RE2"),
        ('matches(email, r"(a")', 15, "not a pattern", ""),
        ('ip in list("office")', 11, "there is no list 'office'", "did you mean 'office_ips'?"),
        ('amount in list("domains")', 10, "amount is of type integer", ""),
        ("email in billing_country", 9, "`in` needs what to look in", ""),
        ("amount is 5", 10, "'is' is not an operator", ""),
        ('count("payment", by="card", within="1h") > 1', 0, "count knows no 'payment'", "write count("),
        ('count("payments", by="car", within="1h") > 1', 0, "by='car' is unknown", ""),
        ('count("payments", by="card", within="91d") > 1', 0, "is no window", ""),
        ('count("payments", by="card", within="0m") > 1', 0, "is no window", ""),
        ('count("payments", by="card") > 1', 0, "takes what to count", ""),
        ('count("payments", by="card", within="1h", by="ip") > 1', 0, "takes what to count", ""),
        ('median("payments") > 1', 0, "median is no function", ""),
        ('count("payments", by="card", within="1h", across="world") > 1', 0, "across='world' is unknown", EVERYWHERE),
        ('count("payments", by="card", within="1h", across="") > 1', 0, "across='' is unknown", EVERYWHERE),
        (
            'hour > 1 and count("payments", by="customer", within="1h", across="platform") > 1',
            13,
            "by='customer' is not kept across merchants: a customer's id is the merchant's own",
            EVERYWHERE,
        ),
        ('count("payments", by="merchant", within="1h", across="platform") > 1', 0, "leave across= out", EVERYWHERE),
        ('count("payments", by="bin", within="1h", across="platform") > 1', 0, 'say by="card"', EVERYWHERE),
        ('count("payments", by="email_domain", within="1h", across="platform") > 1', 0, 'say by="email"', EVERYWHERE),
        ('count("payments", by="car", within="1h", across="platform") > 1', 0, "it is unknown; there are", EVERYWHERE),
        (
            'count("declines", by="card", within="1h", across="platform") > 1',
            0,
            "count knows no 'declines' across",
            EVERYWHERE,
        ),
        (
            'distinct("customer", by="card", within="1h", across="platform") > 1',
            0,
            "knows no 'customer' across",
            EVERYWHERE,
        ),
        ('distinct("card", by="card", within="1h", across="platform") > 1', 0, "there is but one card", EVERYWHERE),
        (
            'last("cvc_check", by="card", within="1h", across="platform") == "fail"',
            0,
            "last is not kept across",
            EVERYWHERE,
        ),
        (
            'seconds_since_first("payments", by="card", within="1h", across="platform") > 1',
            0,
            "is not kept across",
            EVERYWHERE,
        ),
        ('first_seen("payments", by="card", across="platform")', 0, "30 days are kept", EVERYWHERE),
        ('count("payments", by="card", within="31d", across="platform") > 1', 0, "30 days are kept", EVERYWHERE),
        ('count("payments", by="card", within="0m", across="platform") > 1', 0, "is no window", EVERYWHERE),
        ('count("payments", by="card", across="platform") > 1', 0, "takes what to count", ""),
        ('distinct("merchant", by="card", within="1h") > 1', 0, "distinct knows no 'merchant'", "write distinct("),
        ("(amount > 5", 0, "not an expression", ""),
        ("amount > 5) or (hour > 3", 0, "a parenthesis is closed", ""),
        ("", 0, "the expression is empty", ""),
        ("# nothing", 0, "the expression is empty", ""),
        ("[amount for amount in email]", 0, "not in the language", ""),
        ("lambda: amount > 5", 0, "not in the language", ""),
        ("amount if hour else weekday", 0, "not in the language", ""),
        ('f"{amount}" == email', 0, "not in the language", ""),
        ("__import__('os')", 0, "__import__ is no function", ""),
        ("email.__class__ == 3", 0, "not in the language", ""),
        ("amount > ...", 9, "a text is needed", ""),
        ("amount > 5 and (hour := 3)", 16, "not in the language", ""),
    ],
)
def test_mistakes_are_told_with_their_place_and_a_way_out(when: str, offset: int, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition(when, LISTS)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "when",
    [
        "(" * 1_000,
        "(" * 900 + "amount > 5" + ")" * 900,
        "not " * 450 + "customer_is_new",
        "-" * 1_500 + "1 > amount",
        "-amount > 5" + " and -amount > 5" * 110,
        "amount > " + "9" * 1_900,
        "amount > 1" + "0" * 1_900 + "e-5",
        "x" * 2_001,
        "amount > 5 \0",
        "amount > '\\ud800'",
        "\ud800 > 5",
        "email.a" + ".a" * 900,
        'matches(email, r"((((a{100}){100}){100}){100})")',
    ],
)
def test_hostile_expressions_are_refused(when: str) -> None:
    with pytest.raises(ExpressionError):
        parse_condition(when, LISTS)


@pytest.mark.parametrize(
    "when",
    [
        'count("{}", by="card", within="1h") > 1',
        'count("payments", by="{}", within="1h") > 1',
        'count("payments", by="card", within="{}") > 1',
        'method == "{}"',
        'email in list("{}")',
        "{} > 1",
        "email.{}()",
        'seconds_since_last("payments", by="card") < "{}"',
    ],
)
def test_what_is_told_of_a_long_mistake_is_short(when: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition(when.format("x" * 1_900), LISTS)
    assert len(caught.value.message) + len(caught.value.hint) < 400
