"""Whatever a caller puts into a payment neither breaks a decision nor gets it past a rule."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_rules import Backend, Outcome, Ruleset, ScreeningFailure
from fraud_rules.compiler import RESERVED, name_hash
from fraud_rules.facts import VOCABULARY, Value
from tests.fraud_rules.made_up import JUNK, ODD_TEXTS
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text

HEAD = "metadata: {gift: boolean, seats: integer, note: text}\nlists: [blocked]\nthresholds: {block: 0.9}\n"
RULES = (
    rule("large", "amount > 500", "action: block"),
    rule("domain", 'email.endswith("@bad.example")', "action: block"),
    rule("pattern", r'matches(description, r"^(a+)+\$$")', "action: block"),
    rule("listed", 'email in list("blocked")', "action: block"),
    rule("seats", "metadata_seats > 8", "action: block"),
    rule("note", 'metadata_note == "bad"', "action: block"),
    rule("often", 'count("payments", by="card", within="1h") > 3', "action: block"),
    rule("trusted", "metadata_gift and amount < 0", "action: allow"),
)


@pytest.fixture(scope="module")
def failures() -> list[ScreeningFailure]:
    return []


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory, failures: list[ScreeningFailure]) -> Iterator[Ruleset]:
    folder: Path = tmp_path_factory.mktemp("rules")
    ruleset = load_text(folder, ruleset_text(*RULES, head=HEAD), failures.append)
    yield ruleset
    ruleset.close()
    assert [failure for failure in failures if failure.part != "facts"] == []


@pytest.mark.parametrize("text", ODD_TEXTS, ids=[str(number) for number in range(len(ODD_TEXTS))])
@pytest.mark.parametrize("name", ["description", "email", "customer", "holder_name", "metadata_note", "ip", "currency"])
def test_odd_texts_anywhere_leave_a_blocked_payment_blocked(rules: Ruleset, name: str, text: str) -> None:
    decision = rules.decide({"amount": 501, name: text})
    assert (decision.outcome, decision.backend) == (Outcome.BLOCK, Backend.ENGINE)
    assert "large" in decision.fired
    assert rules.decide(decision.facts) == decision, "what was kept does not decide the same again"
    assert all(len(value) <= 1_024 for value in decision.facts.values() if isinstance(value, str))


@pytest.mark.parametrize(
    ("given", "fired"),
    [
        ({"email": "x@BAD.example"}, "domain"),
        ({"email": "\u200bx\u202e@bad.example"}, "domain"),
        ({"email": "\ud800@bad.example"}, "domain"),
        ({"description": "a" * 1_000 + "$"}, "pattern"),
        ({"metadata_seats": "9"}, "seats"),
        ({"metadata_seats": "00000009"}, "seats"),
        ({"metadata_seats": " 9 "}, "seats"),
        ({"metadata_note": "bad"}, "note"),
    ],
)
def test_what_looks_different_to_a_person_still_meets_its_rule(rules: Ruleset, given: Any, fired: str) -> None:
    assert rules.decide(given).fired == (fired,)


def test_a_text_beyond_the_cut_hides_no_beginning(rules: Ruleset) -> None:
    """Rules see the first 1,024 characters; what a rule asks of a text's end is asked of the end of those."""
    padded = rules.decide({"email": "x" * 2_000 + "@bad.example", "amount": 1})
    assert padded.outcome is Outcome.ALLOW
    assert len(str(padded.facts["email"])) == 1_024
    assert rules.decide({"description": "a" * 1_025}).backend is Backend.ENGINE


def test_a_pattern_takes_linear_time_on_a_hostile_text(rules: Ruleset) -> None:
    assert rules.decide({"description": "a" * 1_023 + "b"}).fired == ()


COLLIDING = ("costarring", "liquid", "declinate", "macallums", "altarage", "zinke")
"""Pairs of names with the same FNV-1a hash in 32 bits: https://softwareengineering.stackexchange.com/a/145633"""


def test_known_collisions_of_the_engines_hash_are_collisions() -> None:
    assert all(name_hash(one) == name_hash(other) for one, other in zip(COLLIDING[::2], COLLIDING[1::2], strict=True))


@pytest.mark.parametrize("value", ["x", 1, True, None])
def test_keys_that_mean_something_to_the_engine_or_collide_never_reach_it(rules: Ruleset, value: Value | None) -> None:
    extras = dict.fromkeys((*RESERVED, *COLLIDING, *JUNK, *(f"metadata_{one}" for one in COLLIDING)), value)
    plain, with_extras = rules.decide({"amount": 501}), rules.decide({"amount": 501} | extras)
    assert with_extras == plain
    assert rules.decide({"amount": 500} | extras).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    "name", ["metadata_amount", "metadata_email", "metadata_", "metadata_metadata_seats", "amount_usd "]
)
def test_a_metadata_key_named_like_a_fact_is_no_fact(rules: Ruleset, name: str) -> None:
    decision = rules.decide({"amount": 501, name: "0"})
    assert decision.outcome is Outcome.BLOCK
    assert name not in decision.facts


def test_ten_thousand_keys_cost_nothing_and_change_nothing(rules: Ruleset) -> None:
    many: dict[str, Value] = {f"metadata_key{number}": "x" * 100 for number in range(10_000)}
    decision = rules.decide({"amount": 501, **many})
    assert decision == rules.decide({"amount": 501})
    assert len(decision.facts) == 1


@pytest.mark.parametrize("value", ["true", "TRUE", "yes", "1", "\ud800", "9" * 400, "-1", "1e5", "0x10", "٣", "", " "])
def test_metadata_that_does_not_fit_its_type_is_unknown_and_allows_nothing(rules: Ruleset, value: str) -> None:
    decision = rules.decide({"amount": 501, "metadata_gift": value, "metadata_seats": value})
    assert decision.outcome is Outcome.BLOCK
    assert decision.backend is Backend.ENGINE


@pytest.mark.parametrize("number", [0, 1, 499, 500, 501, 2**31, 2**32, 2**53 - 1])
def test_extreme_amounts_are_compared_right(rules: Ruleset, number: int) -> None:
    decision = rules.decide({"amount": number})
    assert (decision.outcome is Outcome.BLOCK) is (number > 500)


@pytest.mark.parametrize("number", [-1, 2**53, 2**63, 10**300])
def test_numbers_beyond_every_fact_go_to_review_and_are_not_kept(rules: Ruleset, number: int) -> None:
    for name in ("amount", "count_payments_by_card_1h"):
        decision = rules.decide({"amount": 1, name: number})
        assert (decision.outcome, dict(decision.facts)) == (Outcome.REVIEW, {})


@given(st.from_regex(r"[0-9. ]{0,3}([0-9]{1,3}\.){2,5}[0-9]{0,3}\n?", fullmatch=True) | st.ip_addresses(v=4).map(str))
def test_an_address_that_is_taken_as_it_is_is_one_that_could_not_be_written_shorter(text: str) -> None:
    try:
        shortest = str(ip_address(text))
    except ValueError:
        shortest = text.lower()
    assert VOCABULARY["ip"].normalise(text) == shortest
