"""Who decides, what is only recorded, and what happens where a back end fails."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from fraud_rules import ListEntry, Ruleset, RuntimeLists
from fraud_rules.engine import Engine, EngineError
from server.domain.decline import DeclineCode
from server.domain.ids import Prefix, render_id
from server.domain.payment import Customer, FraudDecision, FraudOutcome, ShadowDecision, State
from server.domain.rulesets import Role
from server.domain.velocity import Spent
from server.screening import shadow as shadow_module
from server.screening.gates import released_version
from tests.factories import make_payment
from tests.fraud_rules.rulefiles import rule, ruleset_text
from tests.screening.lineups import Bench, blocks, sources

LIVE = blocks("live_rule", 'customer == "cus_blocked"')
CANDIDATE = blocks("candidate_rule", "amount > 0")
SHADOW = sources(rule("shadow_rule", "amount > 0", "score: 0.9"))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.put(Role.LIVE, LIVE)
    yield made
    made.rulesets.close()


def customer(name: str) -> Customer:
    return Customer(name, "ada@example.com", "203.0.113.7", "")


def chosen(bench: Bench, many: int = 300) -> set[str]:
    """Customers for whom the candidate decides; each pays twice, and is decided by the same."""
    found = set()
    for number in range(many):
        name = f"cus_{number}"
        first, second = (bench.decide(customer=customer(name), amount=amount)[1] for amount in (100, 99_900))
        assert first.role is second.role
        assert first.outcome is (FraudOutcome.BLOCK if first.role is Role.CANDIDATE else FraudOutcome.ALLOW)
        if first.role is Role.CANDIDATE:
            found.add(name)
    return found


def test_a_decision_says_who_made_it_by_what(bench: Bench) -> None:
    payment, decision = bench.decide(customer=customer("cus_blocked"))
    assert (payment.state, decision.outcome, decision.rules) == (State.FAILED, FraudOutcome.BLOCK, ("live_rule",))
    assert (decision.role, decision.backend, decision.shadows) == (Role.LIVE, "engine", ())
    assert decision.ruleset == released_version(LIVE).hash
    assert payment.fraud == decision


def test_entries_of_lists_count_from_when_they_are_added_until_they_expire(bench: Bench) -> None:
    text = ruleset_text(
        rule("blocked_customer", 'customer in list("blocked")', "action: block"), head="lists: [blocked]\n"
    )
    bench.put(Role.LIVE, replace(LIVE, rules=text.encode()))
    payment = make_payment(customer=customer("cus_1"))
    assert bench.decide(payment)[1].facts["listed_blocked_customer"] is False
    merchant = render_id(Prefix.MERCHANT, payment.merchant_id)
    bench.lists = RuntimeLists([ListEntry("blocked", merchant, "cus_1", payment.created_at + timedelta(hours=1))])
    _, decision = bench.decide(payment)
    assert (decision.outcome, decision.rules) == (FraudOutcome.BLOCK, ("blocked_customer",))
    assert decision.facts["listed_blocked_customer"] is True
    assert bench.decide(replace(payment, merchant_id=uuid4()))[1].outcome is FraudOutcome.ALLOW
    later = replace(payment, created_at=payment.created_at + timedelta(hours=1))
    assert bench.decide(later)[1].outcome is FraudOutcome.ALLOW


def test_a_candidate_decides_for_a_stable_share_that_grows(bench: Bench) -> None:
    bench.put(Role.CANDIDATE, CANDIDATE, 20)
    fifth = chosen(bench)
    assert 30 <= len(fifth) <= 90
    bench.put(Role.CANDIDATE, CANDIDATE, 60)
    most = chosen(bench)
    assert fifth < most
    assert 130 <= len(most) <= 230
    bench.end(Role.CANDIDATE)
    assert chosen(bench, 50) == set()


def test_another_candidate_is_tried_on_other_customers(bench: Bench) -> None:
    bench.put(Role.CANDIDATE, CANDIDATE, 30)
    first = chosen(bench)
    bench.put(Role.CANDIDATE, blocks("another", "amount > 0"), 30)
    assert chosen(bench) != first


def test_who_names_no_customer_is_known_by_the_next_best(bench: Bench) -> None:
    bench.put(Role.CANDIDATE, CANDIDATE, 50)
    for number in range(40):
        nameless = Customer("", f"ada{number}@example.com", "", "")
        assert len({bench.decide(customer=nameless)[1].role for _ in range(3)}) == 1
    assert {bench.decide(customer=Customer("", "", "", ""))[1].role for _ in range(40)} == {Role.LIVE, Role.CANDIDATE}


def test_a_shadow_is_recorded_and_never_acted_upon(bench: Bench) -> None:
    bench.put(Role.SHADOW, SHADOW)
    payment, decision = bench.decide()
    assert (payment.state, decision.outcome) == (State.PROCESSING, FraudOutcome.ALLOW)
    name = released_version(SHADOW).hash
    expected = ShadowDecision(name, FraudOutcome.BLOCK, 900, ("shadow_rule",), (), "engine", {}, ())
    assert decision.shadows == (expected,)
    assert payment.fraud == decision
    bench.end(Role.SHADOW)
    assert bench.decide()[1].shadows == ()


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, RecursionError, ZeroDivisionError, KeyError])
def test_a_shadow_that_fails_touches_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    expected = bench.decide(customer=customer("cus_blocked"))[1]
    bench.put(Role.SHADOW, SHADOW)
    broken = bench.rulesets.lineup.shadow
    assert broken is not None

    def fail(ruleset: Ruleset, *_: object) -> object:
        if ruleset is broken.ruleset:
            raise error
        return decide(ruleset, *_)

    decide = Ruleset.decide
    monkeypatch.setattr(Ruleset, "decide", fail)
    assert bench.decide(customer=customer("cus_blocked"))[1].outcome is expected.outcome
    assert bench.decide()[1].shadows == ()
    assert {(role, failure.part, failure.detail) for role, failure in bench.alarms} == {
        (Role.SHADOW, "shadow", error.__name__)
    }


def test_a_shadow_that_is_too_slow_is_left_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put(Role.SHADOW, SHADOW)
    monkeypatch.setattr(shadow_module, "BUDGET_S", -1)
    recorded = [len(bench.decide()[1].shadows) for _ in range(5)]
    assert recorded == [1, 1, 1, 0, 0]
    [(role, failure)] = bench.alarms
    assert role is Role.SHADOW
    assert "left out" in failure.detail
    monkeypatch.undo()
    bench.put(Role.SHADOW, blocks("another", "amount > 0"))
    assert len(bench.decide()[1].shadows) == 1


def test_all_that_anybody_asks_is_counted_once(bench: Bench) -> None:
    both = blocks("often", 'count("payments", by="customer", within="1h") > 3')
    bench.put(Role.LIVE, both)
    bench.put(Role.CANDIDATE, sources(rule("often_too", 'count("payments", by="customer", within="1h") > 9')), 50)
    bench.put(Role.SHADOW, blocks("spent", 'sum("payments", by="ip", within="24h") > 100'))
    asked, _ = bench.screening.prepare(bench.decide()[0], None, "UTC", "", can_hold=True, can_challenge=True)
    assert sorted(one.name for one in asked) == ["count_payments_by_customer_1h", "sum_payments_by_ip_24h"]
    counted = {"count_payments_by_customer_1h": 4, "sum_payments_by_ip_24h": {"USD": Spent(3, 10_001)}}
    decision = bench.decide(counted=counted, customer=customer(_outside(bench)))[1]
    assert (decision.outcome, decision.rules) == (FraudOutcome.BLOCK, ("often",))
    assert [one.rules for one in decision.shadows] == [("spent",)]
    assert [one.facts for one in decision.shadows] == [{"sum_payments_by_ip_24h": 10_001}], "and no more than that"
    assert [one.without for one in decision.shadows] == [("count_payments_by_customer_1h",)]
    assert "sum_payments_by_ip_24h" not in decision.facts


def _outside(bench: Bench) -> str:
    """A customer for whom the candidate does not decide."""
    names = (uuid4().hex for _ in range(1000))
    return next(name for name in names if bench.decide(customer=customer(name))[1].role is Role.LIVE)


def break_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise EngineError("it broke")

    monkeypatch.setattr(Engine, "match", fail)


def break_evaluator(ruleset: Ruleset) -> None:
    def fail(_: object) -> object:
        raise RuntimeError

    ruleset._evaluate = fail  # type: ignore[assignment]


def alarms(bench: Bench) -> list[tuple[Role, str]]:
    return [(role, failure.part) for role, failure in bench.alarms]


def test_where_the_engine_fails_the_stand_in_decides_and_an_alarm_is_raised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bench.decide(customer=customer("cus_blocked"))[1]
    break_engine(monkeypatch)
    decision = bench.decide(customer=customer("cus_blocked"))[1]
    assert decision.backend == "evaluator"
    assert (decision.outcome, decision.rules, decision.ruleset) == (
        expected.outcome,
        expected.rules,
        expected.ruleset,
    )
    assert alarms(bench) == [(Role.LIVE, "engine")]


def test_where_both_fail_the_payment_goes_to_review_and_alarms_are_raised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_engine(monkeypatch)
    break_evaluator(bench.rulesets.lineup.live)
    payment, decision = bench.decide()
    assert (payment.state, decision.outcome, decision.backend) == (State.PROCESSING, FraudOutcome.REVIEW, "nobody")
    assert decision.rules == ("screening_failed",)
    assert alarms(bench) == [(Role.LIVE, "engine"), (Role.LIVE, "evaluator")]


def test_where_both_fail_and_funds_cannot_be_held_the_payment_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_engine(monkeypatch)
    break_evaluator(bench.rulesets.lineup.live)
    payment, decision = bench.decide(can_hold=False)
    assert decision.outcome is FraudOutcome.BLOCK
    assert payment.failure is not None
    assert payment.failure.code is DeclineCode.REVIEW_NOT_POSSIBLE


def test_a_candidate_that_fails_says_so_under_its_own_name(bench: Bench) -> None:
    bench.put(Role.CANDIDATE, CANDIDATE, 100)
    candidate = bench.rulesets.lineup.candidate
    assert candidate is not None
    candidate.ruleset.close()
    break_evaluator(candidate.ruleset)
    decision: FraudDecision = bench.decide()[1]
    assert (decision.role, decision.outcome) == (Role.CANDIDATE, FraudOutcome.REVIEW)
    assert alarms(bench) == [(Role.CANDIDATE, "evaluator")]
