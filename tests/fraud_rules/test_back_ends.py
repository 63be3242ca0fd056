"""The engine, the evaluator and the logic by the book agree on whatever rules can be made up."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_rules.admission import admit
from fraud_rules.agreement import corpus, first_disagreement
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.evaluator import compile_conditions
from fraud_rules.expressions import And, Condition, Not, Or
from fraud_rules.facts import VOCABULARY, Value
from fraud_rules.metadata import MetadataType, metadata_word
from fraud_rules.parser import parse_condition
from fraud_rules.rules import words_of
from tests.fraud_rules import kleene

LISTS = {"ips": ("10.0.0.0/8", "192.0.2.1"), "bad": ()}
METADATA = [
    metadata_word("gift", MetadataType.BOOLEAN),
    metadata_word("seats", MetadataType.INTEGER),
    metadata_word("OrderType", MetadataType.TEXT),
]
WORDS = {**VOCABULARY, **{word.name: word for word in METADATA}}
ATOMS = [
    "amount > 5",
    "amount == 5",
    "amount != 7",
    "amount <= 0",
    "5 >= amount",
    "amount + 1 > 6",
    "3 * amount - 10 > amount",
    "amount > 3 * amount - 10",
    "amount >= 1000 * amount * 1000000000000",
    "customer_age_days < 3",
    "customer_age_days > 2 * customer_age_days - 4",
    'count("payments", by="ip", within="1h") > count("declines", by="ip", within="1h")',
    'count("payments", by="ip", within="1h") > 1 + count("declines", by="ip", within="1h")',
    'amount * count("declines", by="ip", within="1h") > amount',
    "billing_country == shipping_country",
    "billing_country != shipping_country",
    'billing_country == "US"',
    'billing_country != "U"',
    'billing_country in ["US", "DE"]',
    'ip in list("ips")',
    'ip not in list("bad")',
    'email in list("bad")',
    'last("decline_code", by="card") in list("bad")',
    "metadata_gift",
    "metadata_seats > 5",
    'metadata_seats > count("declines", by="ip", within="1h")',
    "-metadata_seats <= 5",
    'metadata_OrderType == "a"',
    'metadata_OrderType in list("bad")',
    'seconds_since_last("payments", by="card") < "1m"',
    'email.endswith("b")',
    'email.startswith("a")',
    "'\"' in email",
    "email == '\"'",
    'email != "b"',
    'matches(email, r"^a|é")',
    "ip_is_proxy",
    "ip_is_proxy == false",
    "ip_is_proxy != customer_is_new",
    "known(amount)",
    "known(email)",
    'known(count("declines", by="ip", within="1h"))',
]
CONDITIONS = {text: parse_condition(text, LISTS, WORDS) for text in ATOMS}

atoms = st.sampled_from(sorted(CONDITIONS)).map(CONDITIONS.__getitem__)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=4).map(lambda operands: And(tuple(operands))),
        st.lists(inner, min_size=2, max_size=4).map(lambda operands: Or(tuple(operands))),
    ),
    max_leaves=10,
)
numbers = st.one_of(st.integers(0, 8), st.integers(0, 2**53 - 1))
texts = st.one_of(
    st.sampled_from(["a", "b", "ab", 'a"', '"', "\\", "a\\", "é", "\0", "ü" * 2_000]), st.text(max_size=5)
)
countries = st.sampled_from(["US", "U", "DE", "USA"])
payments = st.fixed_dictionaries(
    {},
    optional={
        "amount": numbers,
        "customer_age_days": numbers,
        "count_payments_by_ip_1h": numbers,
        "count_declines_by_ip_1h": numbers,
        "billing_country": countries,
        "shipping_country": countries,
        "email": texts,
        "ip": st.sampled_from(["10.1.2.3", "192.0.2.1", "192.0.2.2", "x"]),
        "ip_is_proxy": st.booleans(),
        "listed_ips_ip": st.booleans(),
        "listed_bad_ip": st.booleans(),
        "listed_bad_email": st.booleans(),
        "listed_bad_metadata_OrderType": st.booleans(),
        "listed_bad_last_decline_code_by_card_ever": st.booleans(),
        "last_decline_code_by_card_ever": st.sampled_from(["lost_card", "a"]),
        "seconds_since_last_payments_by_card_ever": st.integers(58, 62),
        "metadata_gift": st.booleans(),
        "metadata_seats": st.one_of(st.integers(-8, 8), st.integers(-(2**53 - 1), 2**53 - 1)),
        "metadata_OrderType": texts,
        "customer_is_new": st.booleans(),
    },
)


ADMITTED = words_of(CONDITIONS.values(), {word.name: word for word in METADATA})


def _admitted(facts: Mapping[str, Value]) -> dict[str, Value]:
    return admit(facts, ADMITTED)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(rules=st.lists(conditions, min_size=1, max_size=8), seen=st.lists(payments, min_size=1, max_size=8))
def test_engine_evaluator_and_kleene_agree(rules: list[Condition], seen: list[dict[str, Value]]) -> None:
    evaluate = compile_conditions(rules)
    engine = Engine(compile_program(rules))
    try:
        for facts in map(_admitted, seen):
            expected = [kleene.truth(rule, facts) for rule in rules]
            assert evaluate(facts) == expected
            assert engine.match(facts) == {index for index, truth in enumerate(expected) if truth}
    finally:
        engine.close()


@pytest.mark.parametrize("text", ATOMS)
def test_made_up_payments_reach_both_truths(text: str) -> None:
    condition = CONDITIONS[text]
    evaluate = compile_conditions([condition])
    seen = {evaluate(facts)[0] for facts in corpus([condition], 200)}
    assert {True, False} <= seen or text.startswith("known")
    assert True in seen


def test_made_up_payments_are_always_the_same() -> None:
    rules = list(CONDITIONS.values())
    assert corpus(rules, 50) == corpus(rules, 50)


def test_a_disagreement_is_found() -> None:
    engine = Engine(compile_program([CONDITIONS["amount > 5"]]))
    try:
        found = first_disagreement(engine, [CONDITIONS["amount <= 0"]], [{"amount": 3}, {"amount": 6}])
    finally:
        engine.close()
    assert found is not None
    assert found.facts == {"amount": 6}
    assert (found.engine_only, found.evaluator_only) == (frozenset({0}), frozenset())
