"""A decision that its payment's method could not follow is replayed as what it became."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from server.domain.payment import FraudOutcome, Method
from server.domain.rulesets import Role
from server.screening.gates import version_of
from server.screening.replaying import Replaying
from tests.fraud_rules.rulefiles import rule
from tests.screening.lineups import Bench, sources


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.put(Role.LIVE, sources(rule("prove_it", "amount > 5", "action: challenge")))
    yield bench
    bench.rulesets.lineup.live.close()


@pytest.mark.parametrize(
    ("method", "can_hold", "can_challenge", "outcome"),
    [
        (Method.CREDIT_CARD, True, True, FraudOutcome.CHALLENGE),
        (Method.DIGITAL_WALLET, True, False, FraudOutcome.REVIEW),
        (Method.CRYPTOCURRENCY, False, False, FraudOutcome.BLOCK),
    ],
)
def test_a_challenge_is_replayed_as_what_became_of_it(
    bench: Bench, method: Method, can_hold: bool, can_challenge: bool, outcome: FraudOutcome
) -> None:
    _, decided = bench.decide(can_hold=can_hold, can_challenge=can_challenge, method=method)
    assert decided.outcome is outcome
    versions = {one.hash: one for one in (version_of(bench.rulesets.lineup.live),)}
    with closing(Replaying(versions.get)) as replaying:
        assert replaying.differences(decided, could_not_wait=outcome is FraudOutcome.BLOCK) == []


def test_a_card_that_went_to_review_for_a_challenge_is_a_difference(bench: Bench) -> None:
    _, decided = bench.decide(can_hold=True, can_challenge=False, method=Method.CREDIT_CARD)
    version = version_of(bench.rulesets.lineup.live)
    with closing(Replaying({version.hash: version}.get)) as replaying:
        fields = {one.field for one in replaying.differences(decided, could_not_wait=False)}
    assert fields == {"outcome"}
