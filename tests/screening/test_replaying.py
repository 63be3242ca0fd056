"""A decision that its payment's method could not follow is replayed as what it became; a shadow's by its own facts."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from server.domain.payment import FraudDecision, FraudOutcome, Method
from server.domain.rulesets import Role
from server.domain.velocity import Spent
from server.screening.gates import version_of
from server.screening.replaying import Difference, Replaying, shadow_replayable
from server.screening.shadow import facts_of_shadow
from tests.fraud_rules.rulefiles import rule, ruleset_text
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


OTHERWISE = ruleset_text(
    rule("spent", 'sum("payments", by="ip", within="24h") > 100', "score: 0.5"),
    rule("seats", "metadata_seats > 3", "score: 0.25"),
    rule("listed", 'customer in list("blocked")', "action: review"),
    rule("dark", "amount > 5", "action: block\n    mode: shadow"),
    head="lists: [blocked]\nmetadata: {seats: integer}\n",
)
COUNTED = {"sum_payments_by_ip_24h": {"USD": Spent(3, 10_001)}, "count_payments_by_customer_1h": 4}


def with_shadow(bench: Bench) -> FraudDecision:
    """A payment whose live rules read a count and a metadata text; the shadow's read a sum, a list and a number."""
    often = rule("often", 'count("payments", by="customer", within="1h") > 3 and metadata_seats == "4"', "score: 0.5")
    live = ruleset_text(often, head="metadata: {seats: text}\n")
    bench.put(Role.LIVE, replace(sources(), rules=live.encode()))
    bench.put(Role.SHADOW, replace(sources(), rules=OTHERWISE.encode()))
    return bench.decide(counted=COUNTED, metadata={"seats": "4"})[1]


def shadow_differences(bench: Bench, decided: FraudDecision) -> list[Difference]:
    versions = {one.hash: one for one in bench.rulesets.versions()}
    with closing(Replaying(versions.get)) as replaying:
        return replaying.shadow_differences(decided, decided.shadows[0])


def test_a_shadow_keeps_what_it_alone_saw_and_is_replayed_bit_for_bit(bench: Bench) -> None:
    decided = with_shadow(bench)
    (shadow,) = decided.shadows
    assert (shadow.rules, shadow.shadow_rules, shadow.score_thousandths) == (("spent", "seats"), ("dark",), 750)
    assert shadow.facts == {"sum_payments_by_ip_24h": 10_001, "metadata_seats": 4, "listed_blocked_customer": False}
    assert shadow.without == ("count_payments_by_customer_1h",)
    seen = facts_of_shadow(decided.facts, shadow)
    assert "count_payments_by_customer_1h" not in seen and seen["amount"] == decided.facts["amount"]
    assert shadow_replayable(shadow)
    assert shadow_differences(bench, decided) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"outcome": FraudOutcome.BLOCK}, "outcome"),
        ({"score_thousandths": 1}, "score"),
        ({"rules": ("spent",)}, "rules"),
        ({"shadow_rules": ()}, "shadow_rules"),
        ({"facts": {"sum_payments_by_ip_24h": 0}}, "rules"),
        ({"facts": {}}, "facts.listed_blocked_customer"),
        ({"without": ()}, "facts.count_payments_by_customer_1h"),
        ({"ruleset": "0" * 64}, "version"),
    ],
    ids=str,
)
def test_whatever_was_changed_of_a_shadow_is_found(bench: Bench, change: dict[str, object], field: str) -> None:
    decided = with_shadow(bench)
    spoilt = replace(decided, shadows=(replace(decided.shadows[0], **change),))  # type: ignore[arg-type]
    found = shadow_differences(bench, spoilt)
    assert field in {one.field for one in found}
    assert {one.shadow for one in found} == {spoilt.shadows[0].ruleset}


def test_a_truth_is_another_fact_than_the_number_one(bench: Bench) -> None:
    text = ruleset_text(rule("flagged", "metadata_flag == 1", "score: 0.5"), head="metadata: {flag: integer}\n")
    bench.put(Role.SHADOW, replace(sources(), rules=text.encode()))
    shadow = bench.rulesets.lineup.shadow
    assert shadow is not None
    (said,) = shadow.decide(lambda ruleset: ruleset.decide({"metadata_flag": 1}), {"metadata_flag": True})
    assert said.rules == ("flagged",)
    assert repr(facts_of_shadow({"metadata_flag": True}, said)) == "{'metadata_flag': 1}"


def test_what_was_stored_before_facts_were_kept_is_left_out(bench: Bench) -> None:
    (shadow,) = with_shadow(bench).shadows
    assert not shadow_replayable(replace(shadow, facts=None))
    assert not shadow_replayable(replace(shadow, backend="nobody"))
