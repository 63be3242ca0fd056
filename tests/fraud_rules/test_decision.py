"""How fired rules become an outcome, whatever else goes wrong."""

from pathlib import Path

import pytest

from fraud_rules import Backend, Facts, Outcome, Ruleset, ScreeningFailure
from fraud_rules.engine import Engine, EngineError
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text


def _one(tmp_path: Path, *rules: str, head: str | None = None) -> Ruleset:
    return load_text(tmp_path, ruleset_text(*rules) if head is None else ruleset_text(*rules, head=head))


@pytest.mark.parametrize(
    ("actions", "outcome"),
    [
        (("review", "challenge", "block", "allow"), Outcome.ALLOW),
        (("review", "challenge", "block"), Outcome.BLOCK),
        (("review", "challenge"), Outcome.CHALLENGE),
        (("review",), Outcome.REVIEW),
    ],
)
def test_actions_are_taken_in_their_order_and_before_scores(
    tmp_path: Path, actions: tuple[str, ...], outcome: Outcome
) -> None:
    rules = [rule(action, "hour >= 0", f"action: {action}") for action in actions]
    with_score = [*rules, rule("score", "hour >= 0", "score: 0.9")]
    decision = _one(tmp_path, *with_score).decide({"hour": 1})
    assert decision.outcome is outcome
    assert decision.fired == (*actions, "score")


@pytest.mark.parametrize(
    ("scores", "total", "outcome"),
    [
        (("0.399",), 399, Outcome.ALLOW),
        (("0.4",), 400, Outcome.CHALLENGE),
        (("0.1", "0.2", "0.3"), 600, Outcome.REVIEW),
        (("0.7", "0.1"), 800, Outcome.BLOCK),
        (("0.7", "0.1", "-0.001"), 799, Outcome.REVIEW),
        (("-0.5",), 0, Outcome.ALLOW),
    ],
)
def test_scores_add_up_exactly_and_reaching_a_threshold_counts(
    tmp_path: Path, scores: tuple[str, ...], total: int, outcome: Outcome
) -> None:
    rules = [rule(f"r{index}", f"hour >= 0 and amount > {index}", f"score: {s}") for index, s in enumerate(scores)]
    decision = _one(tmp_path, *rules).decide({"hour": 1, "amount": 99})
    assert (decision.score_thousandths, decision.outcome) == (total, outcome)


def test_shadow_rules_are_recorded_and_decide_nothing(tmp_path: Path) -> None:
    watched = rule("watched", "hour >= 0", "action: block\n    mode: shadow")
    off = rule("off", "hour >= 0", "action: block\n    mode: off")
    decision = _one(tmp_path, watched, off).decide({"hour": 1})
    assert (decision.outcome, decision.fired, decision.shadow_fired) == (Outcome.ALLOW, (), ("watched",))


def test_percent_splits_payments_and_always_in_the_same_way(tmp_path: Path) -> None:
    rules = _one(tmp_path, rule("some", "hour >= 0", "action: block\n    percent: 10"))
    payments: list[Facts] = [{"hour": 1, "payment_id": f"pay_{number}"} for number in range(400)]
    first, second = ([rules.decide(facts) for facts in payments] for _ in range(2))
    assert first == second
    blocked = [decision for decision in first if decision.outcome is Outcome.BLOCK]
    assert 15 <= len(blocked) <= 70
    assert all(decision.fired != decision.shadow_fired for decision in first)
    assert rules.decide({"hour": 1}).shadow_fired == ("some",)


def test_applies_to_leaves_other_payments_alone(tmp_path: Path) -> None:
    head = 'applies_to: method == "credit_card"\nthresholds: {block: 0.1}\n'
    rules = _one(tmp_path, rule("any", "hour >= 0"), head=head)
    card, wallet = (rules.decide({"hour": 1, "method": name}) for name in ("CREDIT_CARD", "digital_wallet"))
    assert (card.applied, card.outcome) == (True, Outcome.BLOCK)
    assert (wallet.applied, wallet.outcome, wallet.fired) == (False, Outcome.ALLOW, ())


USD_RULES = (
    rule("large", "amount_usd > 5", "score: 0.1"),
    rule("blocked", 'email == "bad@x.org"', "action: block"),
    rule("allowed", 'email == "good@x.org"', "action: allow"),
    rule("challenged", 'email == "odd@x.org"', "action: challenge"),
)


@pytest.mark.parametrize(
    ("email", "outcome"),
    [
        ("any@x.org", Outcome.REVIEW),
        ("odd@x.org", Outcome.REVIEW),
        ("bad@x.org", Outcome.BLOCK),
        ("good@x.org", Outcome.ALLOW),
    ],
)
def test_a_currency_without_a_rate_goes_to_review(tmp_path: Path, email: str, outcome: Outcome) -> None:
    decision = _one(tmp_path, *USD_RULES).decide({"amount": 1, "currency": "XYZ", "email": email})
    assert decision.outcome is outcome
    assert "currency_without_rate" in decision.fired


def test_a_currency_without_a_rate_is_no_matter_where_no_rule_asks_for_dollars(tmp_path: Path) -> None:
    decision = _one(tmp_path, rule("any", "amount > 5")).decide({"amount": 6, "currency": "XYZ"})
    assert (decision.outcome, decision.fired) == (Outcome.ALLOW, ("any",))


def test_facts_of_a_wrong_type_or_size_go_to_review_and_are_reported_without_their_value(tmp_path: Path) -> None:
    failures: list[ScreeningFailure] = []
    rules = load_text(tmp_path, ruleset_text(rule("any", "amount > 5")), failures.append)
    for value in ("4242424242424242", 2**53, -1, True, 1.5):
        decision = rules.decide({"amount": value})  # type: ignore[dict-item]
        assert (decision.outcome, decision.fired) == (Outcome.REVIEW, ("screening_failed",))
        assert decision.backend is Backend.NOBODY
    assert [failure.part for failure in failures] == ["facts"] * 5
    assert not any("4242" in failure.detail for failure in failures)


def test_a_failing_engine_is_reported_and_the_evaluator_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[ScreeningFailure] = []
    rules = load_text(tmp_path, ruleset_text(rule("any", "amount > 5", "action: block")), failures.append)

    def fail(*_: object) -> set[int]:
        raise EngineError("broken")

    monkeypatch.setattr(Engine, "match", fail)
    decision = rules.decide({"amount": 6})
    assert (decision.outcome, decision.fired, decision.backend) == (Outcome.BLOCK, ("any",), Backend.EVALUATOR)
    assert failures == [ScreeningFailure("engine", rules.hash, "broken")]


def test_where_both_back_ends_fail_the_payment_goes_to_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[ScreeningFailure] = []
    rules = load_text(tmp_path, ruleset_text(rule("any", "amount > 5", "action: allow")), failures.append)

    def fail(*_: object) -> list[bool | None]:
        raise ZeroDivisionError

    rules.close()
    monkeypatch.setattr(rules, "_evaluate", fail)
    decision = rules.decide({"amount": 6})
    assert (decision.outcome, decision.fired) == (Outcome.REVIEW, ("screening_failed",))
    assert [failure.part for failure in failures] == ["evaluator"]


def test_a_closed_ruleset_still_decides_alike(tmp_path: Path) -> None:
    failures: list[ScreeningFailure] = []
    rules = load_text(tmp_path, ruleset_text(rule("any", "amount > 5", "action: block")), failures.append)
    before = rules.decide({"amount": 6})
    rules.close()
    rules.close()
    after = rules.decide({"amount": 6})
    assert (before.backend, after.backend) == (Backend.ENGINE, Backend.EVALUATOR)
    assert (before.outcome, before.fired) == (after.outcome, after.fired)
    assert not failures


def test_a_decision_can_be_replayed_from_its_facts(tmp_path: Path) -> None:
    rules = _one(tmp_path, *USD_RULES)
    decision = rules.decide({"amount": 100_000, "currency": "eur", "email": "Bad@X.org", "card_number": "4242"})
    assert rules.decide(decision.facts) == decision
    assert dict(decision.facts) == {
        "amount": 100_000,
        "amount_usd": 115_350,
        "currency": "EUR",
        "email": "bad@x.org",
    }
    with pytest.raises(TypeError):
        decision.facts["amount"] = 0  # type: ignore[index]


def test_empty_texts_and_none_are_unknown(tmp_path: Path) -> None:
    rules = _one(tmp_path, rule("country", "billing_country != shipping_country"), rule("known", "known(email)"))
    decision = rules.decide({"billing_country": "US", "shipping_country": "", "email": None})
    assert (decision.fired, dict(decision.facts)) == ((), {"billing_country": "US"})


def test_amounts_past_what_the_engine_reads_are_cut_there(tmp_path: Path) -> None:
    failures: list[ScreeningFailure] = []
    rules = load_text(tmp_path, ruleset_text(rule("large", "amount_usd > 10_000")), failures.append)
    decision = rules.decide({"amount": 2**53 - 1, "currency": "EUR"})
    assert (decision.fired, decision.facts["amount_usd"], failures) == (("large",), 2**53 - 1, [])


def test_texts_are_cut_and_made_encodable(tmp_path: Path) -> None:
    rules = _one(tmp_path, rule("long", 'description.endswith("b")'), rule("odd", '"?" in description'))
    assert rules.decide({"description": "a" * 1_024 + "b"}).fired == ()
    assert rules.decide({"description": "\ud800 b"}).fired == ("long", "odd")


def test_truths_tell_false_from_unknown(tmp_path: Path) -> None:
    rules = _one(tmp_path, rule("a", "amount > 5"), rule("b", "hour > 5"), rule("c", "amount < 5"))
    assert rules.truths({"amount": 6}) == {"a": True, "b": None, "c": False}
