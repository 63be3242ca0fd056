"""A seed draws the same run again, and payments draw nothing from each other."""

from collections import Counter

import pytest

from sandbox.simulator.plan import DASHBOARD_MERCHANT, Act, Method, draw_plan
from sandbox.simulator.weather import Blow, draw_rules, draw_strikes

ELSEWHERE = {Act.CAPTURE_ELSEWHERE, Act.CANCEL_ELSEWHERE, Act.REFUND_ELSEWHERE}


def test_a_seed_draws_the_same_again() -> None:
    assert [draw_plan(7, number, 6) for number in range(50)] == [draw_plan(7, number, 6) for number in range(50)]
    assert draw_plan(7, 49, 6) != draw_plan(8, 49, 6)
    assert draw_strikes(7, 1000, 50) == draw_strikes(7, 1000, 50)
    assert draw_rules(7, 1.0, ["a"]) == draw_rules(7, 1.0, ["a"])


def test_every_kind_of_payment_and_act_is_drawn() -> None:
    plans = [draw_plan(1, number, 6) for number in range(2000)]
    assert {plan.method for plan in plans} == set(Method)
    assert {step.act for plan in plans for group in plan.steps for step in group} == set(Act)
    assert all(plan.amount % {"KWD": 10, "HUF": 100, "TWD": 100}.get(plan.currency, 1) == 0 for plan in plans)


def test_only_one_merchant_works_past_kassa() -> None:
    plans = [draw_plan(1, number, 6) for number in range(2000)]
    acts = {plan.merchant for plan in plans if any(s.act in ELSEWHERE for group in plan.steps for s in group)}
    assert acts == {DASHBOARD_MERCHANT}


def test_no_webhook_of_that_merchant_is_dropped() -> None:
    for seed in range(20):
        drops = [rule for rule in draw_rules(seed, 1.0, ["other"]) if rule["kind"] == "webhook_drop"]
        assert {rule["account"] for rule in drops} <= {"other"}


@pytest.mark.parametrize("blow", Blow)
def test_blows_come_in_order_and_each_kind_is_drawn_by_some_seed(blow: Blow) -> None:
    strikes = [draw_strikes(seed, 1000, 20) for seed in range(10)]
    assert all(one == sorted(one, key=lambda strike: strike.at_payment) for one in strikes)
    assert Counter(strike.blow for one in strikes for strike in one)[blow] > 0
