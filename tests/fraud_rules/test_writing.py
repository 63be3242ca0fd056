"""Conditions are written as an analyst would, and read again as the same."""

import pytest
from hypothesis import given, settings

from fraud_rules.expressions import Condition
from fraud_rules.parser import parse_condition
from fraud_rules.writing import written
from tests.fraud_rules.test_back_ends import LISTS, WORDS, conditions

SAME = [
    "amount_usd > 10_000",
    "99.50 <= amount_usd",
    'amount_usd > 2 * sum("payments", by="card", within="30d") + 5',
    "amount - (amount - 5) * 1 > -3",
    'card_country in ["CA", "US"] and not (hour > 5 or known(ip))',
    'seconds_since_last("payments", by="card") < 600',
    r'matches(email, r"^\d+@")',
    "description == 'say \"hi\"'",
    'email not in list("bad")',
    "not card_checksum_ok",
]


@pytest.mark.parametrize("when", SAME)
def test_conditions_are_written_as_they_were(when: str) -> None:
    assert written(parse_condition(when, LISTS, WORDS)) == when


@settings(max_examples=200)
@given(rule=conditions)
def test_what_is_written_is_read_as_the_same(rule: Condition) -> None:
    assert parse_condition(written(rule), LISTS, WORDS) == rule
