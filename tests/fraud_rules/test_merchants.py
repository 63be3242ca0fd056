"""What differs for merchants: their metadata, rules for some of them, thresholds, rules that are switched off."""

from pathlib import Path

import pytest

from fraud_rules import Outcome, RulesError, Ruleset
from fraud_rules.share import in_share
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text

METADATA = "metadata: {gift: boolean, seats: integer, OrderType: text}\nthresholds: {block: 0.1}\n"


def loaded(folder: Path, *rules: str, head: str) -> Ruleset:
    ruleset = load_text(folder, ruleset_text(*rules, head=head))
    ruleset.close()
    return ruleset


@pytest.fixture
def told(tmp_path: Path) -> Ruleset:
    return loaded(
        tmp_path,
        rule("gift", "metadata_gift"),
        rule("seats", 'metadata_seats > count("payments", by="card", within="1h")'),
        rule("debt", "metadata_seats < -5"),
        rule("kind", 'metadata_OrderType == "Digital"'),
        head=METADATA,
    )


@pytest.mark.parametrize(
    ("facts", "fired"),
    [
        ({"metadata_gift": "true", "metadata_OrderType": "Digital"}, ("gift", "kind")),
        ({"metadata_gift": " TRUE ", "metadata_OrderType": "digital"}, ("gift",)),
        ({"metadata_gift": "yes"}, ()),
        ({"metadata_gift": "1"}, ()),
        ({"metadata_seats": "3", "count_payments_by_card_1h": 2}, ("seats",)),
        ({"metadata_seats": " -6 "}, ("debt",)),
        ({"metadata_seats": "-6.0"}, ()),
        ({"metadata_seats": "٣", "count_payments_by_card_1h": 0}, ()),
        ({"metadata_seats": "9" * 16, "count_payments_by_card_1h": 0}, ()),
        ({"metadata_seats": "9" * 5_000, "count_payments_by_card_1h": 0}, ()),
        ({"metadata_seats": 2**60, "count_payments_by_card_1h": 0}, ()),
        ({"metadata_seats": True, "count_payments_by_card_1h": 0}, ()),
        ({"metadata_gift": 1}, ()),
        ({"metadata_OrderType": 5}, ()),
        ({"metadata_other": "true", "metadata_": "x", "gift": "true"}, ()),
    ],
)
def test_metadata_is_converted_to_its_type_and_else_unknown(
    told: Ruleset, facts: dict[str, str | int | bool], fired: tuple[str, ...]
) -> None:
    decision = told.decide(facts)
    assert decision.fired == fired
    assert told.decide(decision.facts) == decision


def test_only_declared_metadata_is_seen_and_kept(told: Ruleset) -> None:
    decision = told.decide({"metadata_seats": "3", "metadata_gift": "no", "metadata_note": "x"})
    assert dict(decision.facts) == {"metadata_seats": 3}


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("metadata: {gift: bool}\n", "'bool' is not allowed here .*did you mean 'boolean'"),
        ("metadata: {my-key: text}\n", "'my-key' cannot be the name of a fact"),
        ("metadata: [gift]\n", "metadata is a table"),
        ("metadata: {gift: [text]}\n", "a text is needed here"),
        (f"metadata: {{{', '.join(f'k{n}: text' for n in range(101))}}}\n", "the limit is 100"),
        ("metadata: {gift: text}\n", "gft.*did you mean 'metadata_gift'"),
        ("", "declare it at the top of the file: `metadata: {gft: text}`"),
        ("merchants: {mer_1: {off: [onne]}}\n", "there is no rule 'onne' .did you mean 'one'"),
        ("merchants: {mer_1: {of: [one]}}\n", "a merchant has no field 'of'"),
        ("merchants: {mer_1: {thresholds: {block: 2}}}\n", "not a decimal"),
        ("thresholds: {review: 0.5}\nmerchants: {mer_1: {thresholds: {block: 0.3}}}\n", "they do not rise"),
        ("merchants: [mer_1]\n", "merchants is a table"),
        ("merchants: {'': {off: []}}\n", "'' is not a merchant's id"),
    ],
)
def test_mistakes_in_what_is_declared_are_told(tmp_path: Path, head: str, message: str) -> None:
    with pytest.raises(RulesError, match=message):
        load_text(tmp_path, ruleset_text(rule("one", 'metadata_gft == "a"'), head=head))


@pytest.mark.parametrize("then", ["merchants: []", "merchants: mer_1", "merchants: [a b]", "merchants: [[mer_1]]"])
def test_mistakes_in_a_rules_merchants_are_told(tmp_path: Path, then: str) -> None:
    with pytest.raises(RulesError, match="merchant"):
        load_text(tmp_path, ruleset_text(rule("one", "amount > 5", f"score: 0.1\n    {then}")))


def test_what_is_declared_in_vain_earns_a_warning(tmp_path: Path) -> None:
    head = "lists: [vip]\nmetadata: {gift: text}\nmerchants: {m1: {}}\n"
    found = [problem.message for problem in loaded(tmp_path, rule("one", "amount > 5"), head=head).warnings]
    assert "no rule asks for the list vip" in found
    assert "no rule asks for metadata_gift" in found
    assert "no merchant is called 'm1'" in found


TERMS = """thresholds: {review: 0.3, block: 0.8}
merchants:
  mer_strict: {thresholds: {block: 0.4}}
  mer_calm: {off: [night, watched], thresholds: {review: 0.7}}
"""
RULES = (
    rule("night", "hour < 6", "score: 0.5"),
    rule("watched", "hour < 6", "action: block\n    mode: shadow"),
    rule("only", "hour < 6", "score: 0.05\n    merchants: [mer_strict, mer_other]"),
)


@pytest.mark.parametrize(
    ("merchant", "outcome", "fired", "shadow"),
    [
        ("mer_strict", Outcome.BLOCK, ("night", "only"), ("watched",)),
        ("mer_other", Outcome.REVIEW, ("night", "only"), ("watched",)),
        ("mer_calm", Outcome.ALLOW, (), ()),
        ("mer_any", Outcome.REVIEW, ("night",), ("watched",)),
        (None, Outcome.REVIEW, ("night",), ("watched",)),
    ],
)
def test_merchants_have_their_own_rules_and_thresholds(
    tmp_path: Path, merchant: str | None, outcome: Outcome, fired: tuple[str, ...], shadow: tuple[str, ...]
) -> None:
    decision = loaded(tmp_path, *RULES, head=TERMS).decide({"hour": 1, "merchant": merchant})
    assert (decision.outcome, decision.fired, decision.shadow_fired) == (outcome, fired, shadow)


def test_a_share_is_drawn_by_customer_and_stays() -> None:
    drawn = {customer for customer in range(1_000) if in_share("rule", {"customer": f"cus_{customer}"}, 10)}
    assert 60 <= len(drawn) <= 140
    wider = {customer for customer in range(1_000) if in_share("rule", {"customer": f"cus_{customer}"}, 20)}
    assert drawn < wider
    other = {customer for customer in range(1_000) if in_share("other", {"customer": f"cus_{customer}"}, 10)}
    assert len(drawn & other) < 50


def test_what_stands_for_the_customer_is_the_first_that_is_known() -> None:
    facts = {"payment_id": "pay_1", "customer": "", "card": None, "email": "Ada@X.org"}
    shares = [in_share("rule", {**facts, "payment_id": f"pay_{number}"}, 50) for number in range(50)]
    assert len(set(shares)) == 1
    assert in_share("rule", {"email": "ada@x.org"}, 50) is shares[0]
    assert len({in_share("rule", {"payment_id": f"pay_{number}"}, 50) for number in range(50)}) == 2
    assert [in_share("rule", {}, percent) for percent in (0, 99, 100)] == [False, False, True]
    assert in_share("rule", {"customer": "\ud800" * 2_000}, 100)


def test_percent_follows_the_customer_over_payments(tmp_path: Path) -> None:
    rules = loaded(tmp_path, rule("some", "hour >= 0", "action: block\n    percent: 50"), head="")
    for customer in range(20):
        facts = [{"hour": 1, "customer": f"c{customer}", "payment_id": f"p{number}"} for number in range(5)]
        assert len({rules.decide(one).outcome for one in facts}) == 1
