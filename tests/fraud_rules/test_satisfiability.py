"""Rules that contradict themselves are found, and no others are accused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_rules.expressions import Condition
from fraud_rules.facts import Value
from fraud_rules.parser import parse_condition
from fraud_rules.satisfiability import satisfiable
from tests.fraud_rules import kleene
from tests.fraud_rules.test_back_ends import conditions, payments


@pytest.mark.parametrize(
    "when",
    [
        "amount > 5 and amount < 6",
        "amount > 5 and amount <= 5",
        "hour > 23",
        "amount == 5 and amount == 6",
        "amount == 5 and amount != 5",
        "amount == 5 and amount > 5",
        'email == "a" and email == "b"',
        'email in ["a", "b"] and email not in ["a", "b", "c"]',
        "cvc_given and not cvc_given",
        "known(email) and not known(email)",
        'not known(email) and email == "a"',
        'not known(email) and email.startswith("a")',
        "(amount > 5 or amount > 7) and amount < 3",
        "not (amount > 5 or amount <= 5)",
        "5 < amount < 6",
    ],
)
def test_contradictions_are_found(when: str) -> None:
    assert not satisfiable(parse_condition(when, {}))


@pytest.mark.parametrize(
    "when",
    [
        "amount > 5 and amount < 7",
        "hour >= 23",
        "amount == 5 and amount != 6",
        'email == "a" or email == "b"',
        'email in ["a", "b"] and email not in ["a", "c"]',
        "not known(email) or known(email)",
        "(amount > 5 or hour > 7) and amount < 3",
        "amount > amount",
        " and ".join(f"(amount == {number} or hour > 3)" for number in range(12)),
    ],
)
def test_what_can_fire_is_not_accused(when: str) -> None:
    assert satisfiable(parse_condition(when, {}))


@settings(max_examples=200)
@given(rule=conditions, facts=payments)
def test_a_rule_that_fires_is_never_called_contradictory(rule: Condition, facts: dict[str, Value]) -> None:
    if kleene.truth(rule, facts):
        assert satisfiable(rule)


@settings(max_examples=50)
@given(st.integers(0, 30), st.integers(0, 30))
def test_ranges_of_integers_are_judged_exactly(low: int, high: int) -> None:
    condition = parse_condition(f"amount > {low} and amount < {high}", {})
    assert satisfiable(condition) is (high - low >= 2)
