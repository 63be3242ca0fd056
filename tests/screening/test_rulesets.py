"""Releases are obeyed whole: what does not load changes nothing, and what is replaced is let go."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fraud_rules import Problem, RulesError, Ruleset
from server.domain.payment import FraudOutcome
from server.domain.rulesets import Role, Version
from server.screening.gates import released_version
from server.screening.rulesets import Refused, TakenUp
from tests.factories import make_payment
from tests.screening.lineups import Bench, blocks

SMALL, LARGE = blocks("small", "amount > 5"), blocks("large", "amount > 5000")
NONSENSE = Version("f" * 64, "nonsense", replace(LARGE, rules=b"ruleset: [").to_json())


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.rulesets.close()


def refused(told: list[TakenUp | Refused]) -> list[Role]:
    return [one.role for one in told if isinstance(one, Refused)]


def test_each_release_is_obeyed_and_told_once(bench: Bench) -> None:
    small, large = released_version(SMALL).hash, released_version(LARGE).hash
    assert bench.put(Role.LIVE, SMALL) == [TakenUp(Role.LIVE, small, "")]
    assert bench.put(Role.LIVE, SMALL) == []
    assert bench.decide()[1].outcome is FraudOutcome.BLOCK
    assert bench.put(Role.LIVE, LARGE) == [TakenUp(Role.LIVE, large, small)]
    assert bench.decide()[1].outcome is FraudOutcome.ALLOW
    assert bench.rulesets.hashes() == {Role.LIVE: large}


def test_a_payment_is_decided_by_the_rules_it_was_prepared_with(bench: Bench) -> None:
    bench.put(Role.LIVE, SMALL)
    payment = make_payment()
    decision = bench.decide(payment)[1]
    _, screen = bench.screening.prepare(payment, None, "UTC", "", can_hold=True, can_challenge=True)
    bench.put(Role.LIVE, LARGE)
    late = screen({})[1]
    assert (late.outcome, late.ruleset, late.facts) == (decision.outcome, decision.ruleset, decision.facts)
    assert late.backend == "evaluator"


@pytest.mark.parametrize("version", [None, NONSENSE, replace(NONSENSE, sources=b"{}")], ids=["none", "bad", "garbage"])
def test_a_version_that_cannot_be_loaded_leaves_the_live_one_in_force(bench: Bench, version: Version | None) -> None:
    bench.put(Role.LIVE, SMALL)
    told = bench.release(Role.LIVE, NONSENSE.hash, 100, version)
    assert refused(told) == [Role.LIVE]
    assert bench.decide()[1].outcome is FraudOutcome.BLOCK
    assert bench.decide()[1].backend == "engine"
    assert not bench.rulesets.obeys(Role.LIVE, bench._releases[Role.LIVE])
    bench.put(Role.LIVE, LARGE)
    assert bench.rulesets.obeys(Role.LIVE, bench._releases[Role.LIVE])


@pytest.mark.parametrize("role", [Role.CANDIDATE, Role.SHADOW])
def test_a_candidate_or_shadow_that_cannot_be_loaded_leaves_its_role_empty(bench: Bench, role: Role) -> None:
    bench.put(Role.LIVE, SMALL)
    bench.put(role, LARGE)
    assert refused(bench.release(role, NONSENSE.hash, 50, NONSENSE)) == [role]
    assert list(bench.rulesets.hashes()) == [Role.LIVE]
    assert bench.decide()[1].role is Role.LIVE


def test_what_this_server_cannot_count_never_comes_into_force() -> None:
    def accept(ruleset: Ruleset) -> list[Problem]:
        return [Problem(ruleset.name, 1, 1, f"cannot count {one.name}") for one in ruleset.velocity]

    bench = Bench(accept=accept)
    bench.put(Role.LIVE, SMALL)
    told = bench.put(Role.LIVE, blocks("often", 'count("payments", by="ip", within="1h") > 5'))
    [problem] = [problem for one in told if isinstance(one, Refused) for problem in one.problems]
    assert problem.message == "cannot count count_payments_by_ip_1h"
    assert bench.decide()[1].outcome is FraudOutcome.BLOCK
    bench.rulesets.close()


def test_everything_but_the_first_is_tried_elsewhere_before(bench: Bench) -> None:
    bench.put(Role.LIVE, SMALL)
    assert bench.tried == []
    bench.put(Role.SHADOW, LARGE)
    bench.put(Role.LIVE, blocks("other", "amount > 7"))
    assert len(bench.tried) == 2


def test_what_was_proven_is_not_loaded_again(bench: Bench) -> None:
    bench.put(Role.LIVE, SMALL)
    version = bench.rulesets.prove(LARGE)
    assert bench.decide()[1].outcome is FraudOutcome.BLOCK
    assert bench.release(Role.LIVE, version.hash, 100, None) == [
        TakenUp(Role.LIVE, version.hash, released_version(SMALL).hash)
    ]
    assert len(bench.tried) == 1
    with pytest.raises(RulesError):
        bench.rulesets.prove(replace(LARGE, rules=b""))


def test_what_is_replaced_is_let_go(bench: Bench) -> None:
    bench.put(Role.LIVE, SMALL)
    old = bench.rulesets.lineup.live
    bench.put(Role.LIVE, LARGE)
    assert old.decide({"amount": 6}).backend == "evaluator"
    assert bench.rulesets.lineup.live.decide({"amount": 6}).backend == "engine"


def test_a_servers_own_threshold_makes_a_version_of_its_own_that_can_be_kept() -> None:
    bench = Bench(block_threshold=300)
    bench.put(Role.LIVE, SMALL)
    released = released_version(SMALL)
    [own] = bench.rulesets.own_versions({released.hash: released})
    assert own.hash != released.hash
    assert bench.rulesets.versions() == [own]
    assert bench.decide()[1].ruleset == own.hash
    assert bench.rulesets.lacking(bench._releases) == set()
    bench.rulesets.close()


def test_without_a_release_the_files_rules_are_in_force(bench: Bench) -> None:
    assert not bench.rulesets.ready
    with pytest.raises(RulesError):
        bench.rulesets.fall_back(replace(SMALL, rules=b""))
    bench.rulesets.fall_back(SMALL)
    assert bench.decide()[1].outcome is FraudOutcome.BLOCK
    assert bench.put(Role.LIVE, SMALL) == []
