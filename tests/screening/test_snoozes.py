"""A snoozed rule is told of and not acted upon, until its time is over; whatever was decided so is replayed so."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from server.domain.payment import FraudDecision, FraudOutcome, State
from server.domain.rulesets import Role
from server.domain.snooze import Snooze
from server.screening.gates import released_version
from server.screening.replaying import Replaying
from server.screening.screen import Screening
from server.screening.snoozes import SnoozeSnapshots, why_not_snoozed
from tests.factories import make_payment
from tests.fraud_rules.rulefiles import rule
from tests.screening.lineups import Bench, sources

RULES = sources(
    rule("any", "amount > 5", "action: block"),
    rule("large", "amount > 50", "score: 0.5"),
    rule("dark", "amount > 5", "action: block\n    mode: shadow"),
    rule("gone", "amount > 5", "action: block\n    mode: off"),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Board:
    """Snoozes as the database would have them, and how often they were read."""

    def __init__(self) -> None:
        self.snoozes: list[Snooze] = []
        self.changed: datetime | None = None
        self.reads = 0
        self.snapshots = SnoozeSnapshots(self.changed_at, self.read)

    async def changed_at(self) -> datetime | None:
        return self.changed

    async def read(self) -> list[Snooze]:
        self.reads += 1
        return self.snoozes

    async def snooze(self, *rules: str) -> None:
        """Silences rules for an hour, instead of others."""
        until = NOW + timedelta(hours=1)
        self.snoozes = [Snooze(uuid4(), one, "Ada", "It fires on a campaign.", NOW, until) for one in rules]
        self.changed = (self.changed or NOW) + timedelta(seconds=1)
        assert await self.snapshots.refresh()


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def bench(board: Board) -> Iterator[Bench]:
    bench = Bench()
    bench.put(Role.LIVE, RULES)
    bench.screening = Screening(bench.rulesets, lambda: bench.lists, snoozed=board.snapshots.at)
    yield bench
    bench.rulesets.close()


def decide(bench: Bench, at: datetime = NOW) -> FraudDecision:
    return bench.decide(created_at=at)[1]


def differences(bench: Bench, decided: FraudDecision) -> set[str]:
    versions = {one.hash: one for one in bench.rulesets.versions()}
    with closing(Replaying(versions.get)) as replaying:
        return {one.field for one in replaying.differences(decided, could_not_wait=False)}


async def test_a_snoozed_rule_is_told_of_and_not_acted_upon(bench: Bench, board: Board) -> None:
    await board.snooze("any")
    payment, decision = bench.decide(created_at=NOW)
    assert (payment.state, decision.outcome, decision.score_thousandths) == (
        State.PROCESSING,
        FraudOutcome.CHALLENGE,
        500,
    )
    assert (decision.rules, decision.snoozed, decision.shadow_rules) == (("large",), ("any",), ("dark",))
    await board.snooze("any", "large")
    assert (decide(bench).outcome, decide(bench).snoozed) == (FraudOutcome.ALLOW, ("any", "large"))


async def test_a_rule_that_would_not_have_fired_is_not_told_of(bench: Bench, board: Board) -> None:
    await board.snooze("any", "dark", "gone", "nothing_like_it")
    decision = bench.decide(created_at=NOW, amount=4)[1]
    assert (decision.rules, decision.snoozed) == ((), ())
    assert decide(bench).snoozed == ("any",), "the others decide nothing, snoozed or not"


async def test_a_snooze_ends_by_itself_and_by_hand(bench: Bench, board: Board) -> None:
    await board.snooze("any")
    assert decide(bench, NOW + timedelta(minutes=59)).snoozed == ("any",)
    over = decide(bench, NOW + timedelta(hours=1))
    assert (over.outcome, over.rules, over.snoozed) == (FraudOutcome.BLOCK, ("any", "large"), ())
    await board.snooze()
    assert decide(bench).outcome is FraudOutcome.BLOCK


async def test_nothing_is_read_while_nothing_changes(board: Board) -> None:
    assert not await board.snapshots.refresh()
    await board.snooze("any")
    assert not await board.snapshots.refresh()
    assert board.reads == 1


async def test_it_holds_for_a_candidate_and_not_for_a_shadow(bench: Bench, board: Board) -> None:
    bench.put(Role.CANDIDATE, sources(rule("any", "amount > 6", "action: review")), 100)
    bench.put(Role.SHADOW, sources(rule("any", "amount > 7", "action: review")))
    await board.snooze("any")
    decision = decide(bench)
    assert (decision.role, decision.outcome, decision.snoozed) == (Role.CANDIDATE, FraudOutcome.ALLOW, ("any",))
    assert [(one.outcome, one.rules) for one in decision.shadows] == [(FraudOutcome.REVIEW, ("any",))]


async def test_what_was_decided_under_a_snooze_is_replayed_so(bench: Bench, board: Board) -> None:
    before = decide(bench)
    await board.snooze("any")
    under = decide(bench)
    assert differences(bench, under) == differences(bench, before) == set()
    assert differences(bench, replace(under, snoozed=())) >= {"outcome", "rules"}
    assert differences(bench, replace(before, snoozed=("large",))) >= {"rules", "score"}
    assert differences(bench, replace(under, snoozed=("any", "gone"))) == {"snoozed_rules"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("any", ""),
        ("an", "is no rule of the live ruleset; did you mean 'any'?"),
        ("nothing_like_it", "is no rule of the live ruleset"),
        ("dark", "is in mode shadow: it decides nothing that could be silenced"),
        ("gone", "is in mode off: it decides nothing that could be silenced"),
        ("currency_without_rate", "is built in; what it tells of cannot be silenced"),
    ],
)
def test_only_what_decides_can_be_silenced(name: str, says: str) -> None:
    assert why_not_snoozed(released_version(RULES), name) == says


def test_a_payment_before_any_look_is_decided_by_every_rule(bench: Bench) -> None:
    assert bench.decide(make_payment(created_at=NOW))[1].outcome is FraudOutcome.BLOCK
