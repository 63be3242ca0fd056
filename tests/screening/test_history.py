"""What is counted reaches the rules: the customer's history where a rule names it, and money in US cents."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from fraud_rules import Sources
from fraud_rules.sources import RATES
from server.domain.rulesets import Role
from server.domain.velocity import Spent
from server.screening.screen import Screening
from tests.factories import make_payment
from tests.screening.lineups import Bench

RULES = """
ruleset: history
rules:
  - {id: newcomer, why: "A newcomer.", when: customer_is_new, score: 0.1}
  - {id: regular, why: "A regular.", when: customer_age_days > 30, score: 0.2}
  - {id: dear, why: "Dear.", when: 'average("payments", by="customer", within="24h") >= 1.01', score: 0.3}
  - {id: spent, why: "Spent.", when: 'sum("payments", by="customer", within="24h") >= 2.01', score: 0.4}
  - {id: wrong, why: "Wrong code.", when: 'last("cvc_check", by="customer") == "fail"', score: 0.05}
"""
SUM, AVERAGE = "sum_payments_by_customer_24h", "average_payments_by_customer_24h"


@pytest.fixture
def screening() -> Iterator[Screening]:
    bench = Bench()
    bench.put(Role.LIVE, Sources("rules.yaml", RULES.encode(), {}, RATES.read_bytes()))
    with closing(bench.rulesets):
        yield bench.screening


def fired(screening: Screening, counted: dict[str, object]) -> set[str]:
    _, screen = screening.prepare(make_payment(), None, "UTC", "", can_hold=True)
    return set(screen(counted)[1].rules)  # type: ignore[arg-type]


def test_the_past_is_asked_for_what_rules_name(screening: Screening) -> None:
    asked, _ = screening.prepare(make_payment(), None, "UTC", "", can_hold=True)
    assert {one.name for one in asked} == {
        "customer_age_seconds", "customer_is_new", AVERAGE, SUM, "last_cvc_check_by_customer_ever",
    }  # fmt: skip


def test_a_newcomer_is_no_regular(screening: Screening) -> None:
    assert fired(screening, {"customer_is_new": True}) == {"newcomer"}
    assert fired(screening, {"customer_is_new": False, "customer_age_seconds": 31 * 86_400}) == {"regular"}
    assert fired(screening, {"customer_is_new": False, "customer_age_seconds": 31 * 86_400 - 1}) == set()
    assert fired(screening, {}) == set()


def test_sums_and_averages_are_in_us_cents(screening: Screening) -> None:
    assert fired(screening, {SUM: {"USD": Spent(2, 201)}}) == {"spent"}
    assert fired(screening, {AVERAGE: {"USD": Spent(2, 201)}}) == {"dear"}  # 100.5 cents are rounded up
    assert fired(screening, {AVERAGE: {"USD": Spent(3, 301)}}) == set()
    assert fired(screening, {AVERAGE: {}, SUM: {}}) == set()
    assert fired(screening, {SUM: {"USD": Spent(2, 201), "XXX": Spent(1, 1)}}) == set()


def test_what_the_processor_said_last_is_a_text(screening: Screening) -> None:
    assert fired(screening, {"last_cvc_check_by_customer_ever": "fail"}) == {"wrong"}
    assert fired(screening, {"last_cvc_check_by_customer_ever": "pass"}) == set()
