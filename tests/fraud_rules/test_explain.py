"""An explanation says of every rule whether it fires and what each part of it saw, and agrees with the decision."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from fraud_rules import Ruleset
from fraud_rules.explain import Standing, explain
from fraud_rules.facts import Value
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text
from tests.fraud_rules.test_back_ends import payments

RULES = (
    rule("large", 'amount > 5 and (not known(ip) or ip not in list("bad"))', "action: review"),
    rule("watched", "not (amount > 5 or hour > 5)", "action: block\n    mode: shadow"),
    rule("some", "amount > 3", "score: 0.1\n    percent: 1"),
    rule("theirs", "amount > 3", "score: 0.1\n    merchants: [mer_1]"),
    rule("off", 'count("payments", by="ip", within="1h") > 3', "score: 0.1\n    mode: off"),
)
HEAD = "applies_to: amount >= 1\nlists: [bad]\n"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Ruleset:
    ruleset = load_text(tmp_path_factory.mktemp("rules"), ruleset_text(*RULES, head=HEAD))
    ruleset.close()
    return ruleset


def test_each_part_says_what_it_saw(rules: Ruleset) -> None:
    explanation = explain(rules, {"amount": 6, "ip": "10.0.0.1"})
    large = explanation.rules[0].condition
    assert (large.text, large.truth, large.joint) == (
        'amount > 5 and (not known(ip) or ip not in list("bad"))',
        True,
        "all of",
    )
    amount, either = large.parts
    assert (amount.text, amount.truth, dict(amount.seen)) == ("amount > 5", True, {"amount": 6})
    assert [(part.text, part.truth, dict(part.seen)) for part in either.parts] == [
        ("not known(ip)", False, {"ip": "10.0.0.1"}),
        ('ip not in list("bad")', True, {"ip": "10.0.0.1", "listed_bad_ip": False}),
    ]
    [negated] = explanation.rules[1].condition.parts
    assert (explanation.rules[1].condition.joint, negated.joint, negated.truth) == ("not", "any of", True)
    assert negated.parts[1].seen == {"hour": None}
    assert negated.parts[1].truth is None


def test_each_rule_says_whether_it_counts(rules: Ruleset) -> None:
    explanation = explain(rules, {"amount": 6})
    assert {one.rule.id: one.standing for one in explanation.rules} == {
        "large": Standing.LIVE,
        "watched": Standing.SHADOW,
        "some": Standing.OUTSIDE_PERCENT,
        "theirs": Standing.OTHER_MERCHANTS,
        "off": Standing.OFF,
    }
    assert explanation.applies_to is not None
    assert explanation.applies_to.truth is True
    assert explain(rules, {"amount": 0}).decision.applied is False


def test_rules_that_are_off_are_explained_too(rules: Ruleset) -> None:
    assert rules.velocity == ()
    off = explain(rules, {"amount": 6, "count_payments_by_ip_1h": 4}).rules[-1]
    assert (off.standing, off.condition.truth) == (Standing.OFF, True)


def test_a_decisions_own_facts_explain_that_decision(rules: Ruleset) -> None:
    decision = rules.decide({"amount": 6, "ip": "10.0.0.1", "unheard_of": 3})
    assert explain(rules, decision.facts).decision == decision


def test_facts_that_cannot_be_read_are_explained_as_unknown(rules: Ruleset) -> None:
    explanation = explain(rules, {"amount": "many"})
    assert explanation.decision.fired == ("screening_failed",)
    assert {one.condition.truth for one in explanation.rules} == {None}


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(facts=payments)
def test_what_is_explained_is_what_was_decided(rules: Ruleset, facts: dict[str, Value]) -> None:
    explanation = explain(rules, facts)
    decision = explanation.decision
    live, shadow = (
        tuple(one.rule.id for one in explanation.rules if one.standing in standings and one.condition.truth)
        for standings in ((Standing.LIVE,), (Standing.SHADOW, Standing.OUTSIDE_PERCENT))
    )
    assert (decision.fired, decision.shadow_fired) == ((live, shadow) if decision.applied else ((), ()))
    assert json.loads(json.dumps(explanation.to_json()))["fired"] == list(decision.fired)


def test_plain_values_hold_all_of_it(rules: Ruleset, tmp_path: Path) -> None:
    told = explain(rules, {"amount": 6}).to_json()
    assert told["outcome"] == "REVIEW"
    assert told["facts"] == {"amount": 6}
    assert told["rules"][0]["condition"]["parts"][0] == {
        "text": "amount > 5",
        "truth": True,
        "seen": {"amount": 6},
        "joint": "",
        "parts": [],
    }
