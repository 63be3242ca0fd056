"""The shipped rules decide as documented."""

from collections.abc import Iterator

import pytest

from fraud_rules import DEFAULT_RULES, Backend, Facts, Outcome, Ruleset, load_ruleset


@pytest.fixture(scope="module")
def rules() -> Iterator[Ruleset]:
    ruleset = load_ruleset(DEFAULT_RULES)
    yield ruleset
    ruleset.close()


LARGE: Facts = {"amount": 1_000_001, "currency": "USD"}
OFTEN: Facts = {"count_payments_by_customer_1h": 11}
ABROAD: Facts = {"billing_country": "US", "shipping_country": "DE"}


@pytest.mark.parametrize(
    ("facts", "score", "fired"),
    [
        ({"amount": 1_000_001, "currency": "USD"}, 300, ("amount_above_10k",)),
        ({"amount": 1_000_000, "currency": "USD"}, 200, ("amount_above_5k",)),
        ({"amount": 500_001, "currency": "USD"}, 200, ("amount_above_5k",)),
        ({"amount": 500_000, "currency": "USD"}, 0, ()),
        ({"amount": 10_000_000, "currency": "JPY"}, 300, ("amount_above_10k",)),
        ({"amount": 1_000_000, "currency": "JPY"}, 200, ("amount_above_5k",)),
        ({"amount": 900_000, "currency": "EUR"}, 300, ("amount_above_10k",)),
        ({"count_payments_by_customer_1h": 11}, 400, ("customer_velocity",)),
        ({"count_payments_by_customer_1h": 10}, 0, ()),
        (ABROAD, 200, ("country_mismatch",)),
        ({"billing_country": "us", "shipping_country": "US"}, 0, ()),
        ({"billing_country": "US"}, 0, ()),
        ({"hour": 0}, 100, ("unusual_hour",)),
        ({"hour": 5}, 100, ("unusual_hour",)),
        ({"hour": 6}, 0, ()),
        ({"hour": 22}, 0, ()),
        ({"hour": 23}, 100, ("unusual_hour",)),
        ({"card_checksum_ok": False}, 500, ("card_checksum",)),
        ({"card_checksum_ok": True}, 0, ()),
        ({}, 0, ()),
    ],
)
def test_each_rule_adds_its_score_at_its_boundary(
    rules: Ruleset, facts: Facts, score: int, fired: tuple[str, ...]
) -> None:
    decision = rules.decide(facts)
    assert (decision.score_thousandths, decision.fired) == (score, fired)
    assert decision.outcome is Outcome.ALLOW
    assert decision.backend is Backend.ENGINE


def test_amount_velocity_and_country_block(rules: Ruleset) -> None:
    decision = rules.decide({**LARGE, **OFTEN, **ABROAD})
    assert decision.outcome is Outcome.BLOCK
    assert decision.score_thousandths == 900
    assert decision.fired == ("amount_above_10k", "customer_velocity", "country_mismatch")


def test_reaching_the_threshold_exactly_blocks(rules: Ruleset) -> None:
    decision = rules.decide({**LARGE, "card_checksum_ok": False})
    assert (decision.score_thousandths, decision.outcome) == (800, Outcome.BLOCK)


def test_a_tenth_below_the_threshold_allows(rules: Ruleset) -> None:
    decision = rules.decide({**ABROAD, "card_checksum_ok": False})
    assert (decision.score_thousandths, decision.outcome) == (700, Outcome.ALLOW)


def test_the_score_is_cut_at_one(rules: Ruleset) -> None:
    decision = rules.decide({**LARGE, **OFTEN, **ABROAD, "hour": 3, "card_checksum_ok": False})
    assert decision.score_thousandths == 1_000


def test_the_past_is_asked_for_once_by_customer_and_hour(rules: Ruleset) -> None:
    [window] = rules.velocity
    assert (window.name, window.function, window.over, window.by, window.within_seconds) == (
        "count_payments_by_customer_1h",
        "count",
        "payments",
        "customer",
        3_600,
    )


def test_the_file_earns_no_warning(rules: Ruleset) -> None:
    assert rules.warnings == ()


def test_another_threshold_blocks_from_there_and_is_another_ruleset() -> None:
    plain, strict = load_ruleset(DEFAULT_RULES), load_ruleset(DEFAULT_RULES, block_threshold=300)
    facts = {"amount": 1_000_100, "currency": "USD"}
    assert plain.decide(facts).outcome is Outcome.ALLOW
    assert strict.decide(facts).outcome is Outcome.BLOCK
    assert plain.hash != strict.hash
    plain.close()
    strict.close()
