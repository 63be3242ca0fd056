"""Rules that add nothing or can never matter are found, and no others are accused."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_rules import DEFAULT_RULES
from fraud_rules.analysis import analyse
from fraud_rules.cost import Level, cost_of
from fraud_rules.expressions import And, Condition, Not, Or
from fraud_rules.facts import Value
from fraud_rules.parser import parse_condition
from fraud_rules.rulefile import read_rules
from fraud_rules.satisfiability import excludes, falsifiable, possible_ways
from tests.fraud_rules import kleene
from tests.fraud_rules.rulefiles import rule, ruleset_text
from tests.fraud_rules.test_back_ends import CONDITIONS, LISTS, WORDS, _admitted, conditions, payments


def implied(one: Condition, other: Condition) -> bool:
    ways, escapes = possible_ways(one), possible_ways(other, truth=False, certain=False)
    return ways is not None and escapes is not None and excludes(ways, escapes)


def parsed(when: str) -> Condition:
    return parse_condition(when, LISTS, WORDS)


IMPLIED = [
    ("amount > 10", "amount > 5"),
    ("amount == 7", "amount in [7, 8]"),
    ("amount == 7", "amount != 5 or hour > 3"),
    ("hour > 3 and amount > 10", "amount > 5"),
    ("hour > 3 and amount > 10", "amount > 10 and hour > 2"),
    ("amount > 10", "known(amount)"),
    ("amount > 10", "amount > 5 or hour > 3"),
    ('billing_country in ["US", "CA"]', 'billing_country not in ["DE"]'),
    ('email.endswith("@mail.example.com")', 'email.endswith("example.com")'),
    ('email == "a@example.com"', 'email.endswith("example.com")'),
    ('email.startswith("a+b")', '"+" in email'),
    ("billing_country != shipping_country", "shipping_country != billing_country"),
    ('count("payments", by="ip", within="1h") > count("declines", by="ip", within="1h")',
     'count("declines", by="ip", within="1h") <= count("payments", by="ip", within="1h")'),
    ('ip == "10.1.2.3"', 'ip in list("ips")'),
    ('email in list("bad") and amount > 3', 'email in list("bad")'),
    ("not ip_is_proxy", "ip_is_proxy == false"),
    ("hour > 22", "hour == 23"),
    ('matches(email, r"^a") and hour > 3', 'matches(email, r"^a")'),
    ('seconds_since_last("payments", by="card") < "1m"', 'seconds_since_last("payments", by="card") <= 59'),
]  # fmt: skip
NOT_IMPLIED = [
    ("amount > 5", "amount > 10"),
    ("amount > 10", "amount > 5 and hour > 3"),
    ("amount > 10", "hour > 3"),
    ("not (amount <= 5)", "amount > 6"),
    ("not known(amount)", "amount <= 5"),
    ("not known(amount)", "not amount > 5"),
    ('email.endswith("example.com")', 'email.endswith("@example.com")'),
    ('"a" in email', 'email.startswith("a")'),
    ('ip in list("ips")', 'ip == "10.1.2.3" or ip == "192.0.2.1"'),
    ('email in list("bad")', "amount > 3 and amount < 2"),
    ('email in list("bad")', 'ip in list("bad")'),
    ('count("payments", by="ip", within="1h") > 5', 'count("payments", by="ip", within="2h") > 5'),
    ("billing_country == shipping_country", 'billing_country == "US"'),
    ("2 * amount > 10", "amount > 5"),
]


@pytest.mark.parametrize(("one", "other"), IMPLIED)
def test_what_follows_is_found(one: str, other: str) -> None:
    assert implied(parsed(one), parsed(other))


@pytest.mark.parametrize(("one", "other"), NOT_IMPLIED)
def test_what_does_not_follow_is_not_claimed(one: str, other: str) -> None:
    assert not implied(parsed(one), parsed(other))


near = st.sampled_from(sorted(CONDITIONS)).map(CONDITIONS.__getitem__)
few = st.one_of(near, near.map(Not), st.lists(near, min_size=2, max_size=3).map(lambda found: And(tuple(found))))
few = st.one_of(few, st.lists(few, min_size=2, max_size=3).map(lambda found: Or(tuple(found))))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(one=few, other=few, seen=st.lists(payments, min_size=1, max_size=6))
def test_no_payment_contradicts_what_is_claimed(one: Condition, other: Condition, seen: list[dict[str, Value]]) -> None:
    for left, right in ((one, other), (And((one, other)), one), (one, Or((one, other)))):
        if implied(left, right):
            for facts in map(_admitted, seen):
                assert kleene.truth(left, facts) is not True or kleene.truth(right, facts) is True


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(rule=conditions, facts=payments)
def test_what_is_always_true_is_never_otherwise(rule: Condition, facts: dict[str, Value]) -> None:
    truth = kleene.truth(rule, _admitted(facts))
    if truth is not True:
        assert falsifiable(rule, unknown_counts=True)
    if truth is False:
        assert falsifiable(rule, unknown_counts=False)


def findings(*rules: str, head: str = "thresholds: {block: 0.1}\n") -> list[str]:
    return [found.message for found in analyse(read_rules(ruleset_text(*rules, head=head).encode(), "f", {}).file)]


BLOCK, REVIEW = "action: block", "action: review"


def test_a_rule_under_a_stronger_one_never_changes_an_outcome() -> None:
    message = "large never changes an outcome: whenever it fires, any in line 7 blocks the payment"
    any_, large = rule("any", "amount > 5", BLOCK), rule("large", "amount > 10 and hour > 3")
    assert findings(large, any_) == [message]
    assert findings(any_, rule("large", "amount > 10", REVIEW))[0].startswith("large never changes")
    assert findings(rule("any", "amount > 5", "action: allow"), rule("large", "amount > 10", BLOCK))
    assert findings(rule("any", "amount > 5", REVIEW), rule("large", "amount > 10", BLOCK)) == []


def test_a_rule_under_one_of_the_same_action_is_subsumed_and_scores_add_up() -> None:
    assert findings(rule("any", "amount > 5", BLOCK), rule("large", "amount > 10", BLOCK)) == [
        "large is subsumed: whenever it fires, any in line 4 fires with the same action"
    ]
    assert findings(rule("any", "amount > 5"), rule("large", "amount > 10")) == []


def test_the_same_in_other_words_is_told_once() -> None:
    assert findings(rule("one", "amount > 5"), rule("two", "not amount <= 5")) == [
        "two asks the same as one in line 4, in other words"
    ]
    assert len(findings(rule("one", "amount > 5", BLOCK), rule("two", "not amount <= 5", BLOCK))) == 1


@pytest.mark.parametrize(
    "weaker",
    [
        "action: block\n    mode: shadow",
        "action: block\n    mode: off",
        "action: block\n    percent: 50",
        "action: block\n    merchants: [mer_1]",
    ],
)
def test_a_rule_that_does_not_decide_everywhere_overtakes_none(weaker: str) -> None:
    assert findings(rule("any", "amount > 5", weaker), rule("large", "amount > 10")) == []


def test_merchants_for_whom_the_stronger_rule_is_off_count() -> None:
    head = "thresholds: {block: 0.1}\nmerchants: {mer_1: {off: [any]}}\n"
    any_, only = rule("any", "amount > 5", BLOCK), "score: 0.1\n    merchants: [mer_2]"
    assert findings(any_, rule("large", "amount > 10"), head=head) == []
    assert len(findings(any_, rule("large", "amount > 10", only), head=head)) == 1
    both = "thresholds: {block: 0.1}\nmerchants: {mer_1: {off: [any, large]}}\n"
    assert len(findings(any_, rule("large", "amount > 10"), head=both)) == 1


def test_a_shadow_rule_may_repeat_a_live_one() -> None:
    shadow = rule("large", "amount > 10", "action: block\n    mode: shadow")
    assert findings(rule("any", "amount > 5", BLOCK), shadow) == []


def test_rules_that_are_always_true_are_told() -> None:
    assert findings(rule("one", "known(ip) or not known(ip)")) == ["one is always true"]
    assert findings(rule("one", "amount > 5 or amount <= 5")) == ["one is true whatever the values of amount"]
    assert findings(rule("one", "hour >= 0"))[0] == "one is true whatever the values of hour"
    assert findings(rule("one", "known(ip)")) == []


def test_a_rule_for_payments_that_are_left_out_is_told() -> None:
    head = 'applies_to: method == "credit_card"\nthresholds: {block: 0.1}\n'
    assert findings(rule("one", 'method == "digital_wallet" and hour > 3'), head=head) == [
        "one can never fire: applies_to leaves its payments out"
    ]


def test_comparing_many_rules_is_bounded_and_each_is_still_looked_at() -> None:
    rules = [rule(f"r{number}", f"amount > {number} and hour > 3 and hour != {number % 24}") for number in range(600)]
    assert "always is always true" in findings(*rules, rule("always", "known(ip) or not known(ip)"))


def test_a_condition_with_too_many_ways_is_left_alone() -> None:
    many = " and ".join(f"(amount != {number} or hour > {number})" for number in range(20))
    assert findings(rule("one", many, BLOCK), rule("two", f"{many} and hour > 2", BLOCK)) == []


@pytest.mark.parametrize(
    ("when", "level", "text"),
    [
        ("amount > 5", Level.NONE, "none"),
        ('count("payments", by="card", within="1h") > 5', Level.LOW, "low: card 1h"),
        (
            'count("payments", by="card", within="1h") > 5 and sum("payments", by="card", within="24h") > 5',
            Level.LOW,
            "low: card 24h",
        ),
        ('count("payments", by="card", within="30d") > 5', Level.MEDIUM, "medium: card 30d"),
        ('first_seen("payments", by="card")', Level.MEDIUM, "medium: card ever"),
        ('count("payments", by="merchant", within="1h") > 5', Level.MEDIUM, "medium: merchant 1h"),
        ('distinct("card", by="bin", within="1h") > 5', Level.HIGH, "high: bin 1h"),
        ('count("payments", by="bin", within="ever") > 5 or known(last("cvc_check", by="ip"))', Level.HIGH, None),
    ],
)
def test_cost_is_told_in_words(when: str, level: Level, text: str | None) -> None:
    cost = cost_of([parsed(when)])
    assert cost.level is level
    assert str(cost) == (text or "high: bin ever, ip ever")


def test_the_shipped_rules_earn_no_finding() -> None:
    assert analyse(read_rules(DEFAULT_RULES.read_bytes(), "f", {}).file) == []
