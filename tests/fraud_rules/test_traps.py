"""What durable-rules 2.0.28 does wrongly, and that nothing an analyst or a caller can write leads there.

`test_engine` has the traps that concern one evaluation; here are those that ask how it is driven, and those that a
caller would set off, through `Ruleset.decide`.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import durable_rules_engine as durable
import pytest

from fraud_rules import Backend, Outcome, Ruleset, ScreeningFailure
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.evaluator import compile_conditions
from fraud_rules.parser import parse_condition
from fraud_rules.source import ExpressionError
from tests.fraud_rules.made_up import LISTS, WORDS, conditions_as_text
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text

SPOKEN = {
    "$and",
    "$or",
    "$eq",
    "$neq",
    "$lt",
    "$lte",
    "$gt",
    "$gte",
    "$ex",
    "$nex",
    "$m",
    "$add",
    "$sub",
    "$mul",
    "$l",
    "$r",
}


def words_said(part: Any) -> Iterator[str]:
    """Yields every key of a definition."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield key
            yield from words_said(value)
    elif isinstance(part, list):
        for item in part:
            yield from words_said(item)


@pytest.mark.parametrize("seed", range(30))
def test_only_what_the_engine_does_right_is_ever_said_to_it(seed: int) -> None:
    """No $div, no patterns, no $not, $s, $all or $any, no count, cap, span or timer; no null and no fraction."""
    conditions = [parse_condition(text, LISTS, WORDS) for text in conditions_as_text(Random(seed), 40)]
    for shard in compile_program(conditions).shards:
        definition = json.loads(shard.definition)
        assert all(list(body) == ["all"] and len(body["all"]) == 1 for body in definition.values())
        said = set(words_said([body["all"][0]["m"] for body in definition.values()]))
        assert {word for word in said if word.startswith("$")} <= SPOKEN
        assert said - SPOKEN <= shard.facts | {"pid", "warm_up"}
        assert "null" not in shard.definition
        assert not re.search(r"[:\[ ]-?[0-9]+[.eE]", re.sub(r'"[^"]*"', "", shard.definition))


@pytest.mark.parametrize("when", ["amount / 2 > 3", "amount // 2 > 3", "amount % 2 > 3", "amount ** 2 > 3"])
def test_division_which_ends_the_process_is_not_in_the_language(when: str) -> None:
    with pytest.raises(ExpressionError, match="not in the language"):
        parse_condition(when, {})


def test_one_rule_stands_under_one_message_and_never_under_a_bare_negation() -> None:
    conditions = [parse_condition(text, {}) for text in ("not known(ip)", "not (known(ip) or known(email))")]
    for shard in compile_program(conditions).shards:
        for body in json.loads(shard.definition).values():
            assert body["all"][0]["m"]["$and"][0] == {"$ex": {"pid": 1}}


def test_more_payments_than_the_engine_has_room_for_sids_are_decided_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    real = durable.assert_fact
    monkeypatch.setattr(durable, "assert_fact", lambda handle, text: said.append(text) or real(handle, text))
    engine = Engine(compile_program([parse_condition("amount > 5", {})]))
    try:
        for number in range(1_500):
            facts = {"amount": number, "sid": str(number), "payment_id": f"pay_{number}", "id": f"{number}"}
            assert engine.match(facts) == ({0} if number > 5 else set())
    finally:
        engine.close()
    assert not any('"sid"' in text for text in said)
    assert {json.loads(text)["id"] for text in said} == {"1"}


NEVER_RUN = """
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.parser import parse_condition
for _ in range(20):
    Engine(compile_program([parse_condition("amount > 5", {})])).close()
print("alive")
"""


def test_a_ruleset_that_never_decided_is_released_without_ending_the_process() -> None:
    """Deleting a state in which nothing ever ran crashes; so each handle runs a rule once when it is loaded."""
    child = subprocess.run([sys.executable, "-c", NEVER_RUN], capture_output=True, text=True, timeout=60, check=False)
    assert (child.returncode, child.stdout.strip()) == (0, "alive"), child.stderr


def test_pythons_that_the_package_does_not_run_on_are_refused() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.13"
    assert any(one == "durable-rules==2.0.28" for one in project["dependencies"])


@pytest.fixture
def failures() -> list[ScreeningFailure]:
    return []


@pytest.fixture
def rules(tmp_path: Path, failures: list[ScreeningFailure]) -> Iterator[Ruleset]:
    text = ruleset_text(
        rule("large", "amount > 5", "action: block"),
        rule("same", "billing_country == shipping_country", "score: 0.1"),
        rule("without", "not known(email)", "score: 0.1"),
        rule("long", 'email.endswith("x")', "score: 0.1"),
    )
    ruleset = load_text(tmp_path, text, failures.append)
    yield ruleset
    ruleset.close()


@pytest.mark.parametrize(
    "value", [1.5, 1e5, float("nan"), float("inf"), 2**53, 2**64, 10**400, -1, "6", "", [6], {"a": 6}, b"6"]
)
def test_a_number_that_the_engine_would_misread_is_never_allowed_to_pass(rules: Ruleset, value: Any) -> None:
    decision = rules.decide({"amount": value})
    if value == "":
        assert decision.fired == ("without",)  # unknown, as an empty text is
    else:
        assert (decision.outcome, decision.backend) == (Outcome.REVIEW, Backend.NOBODY)
        assert decision.facts == {}


def test_null_and_what_is_absent_are_the_same(rules: Ruleset) -> None:
    absent, null = rules.decide({}), rules.decide({"amount": None, "email": None, "billing_country": None})
    assert absent == null
    assert absent.fired == ("without",)


@pytest.mark.parametrize("length", [1_024, 1_025, 65_535, 65_536, 5_000_000])
def test_long_texts_are_cut_and_the_engine_still_decides(rules: Ruleset, length: int) -> None:
    decision = rules.decide({"email": "x" * length, "amount": 6})
    assert (decision.fired, decision.backend) == (("large", "long"), Backend.ENGINE)
    assert len(str(decision.facts["email"])) == 1_024


@pytest.mark.parametrize("nested", [{"a": 1}, ["a"], ("a",), {"$ex": {"pid": 1}}])
def test_nested_values_are_refused_wherever_they_stand(rules: Ruleset, nested: Any) -> None:
    assert rules.decide({"email": nested, "amount": 6}).outcome is Outcome.REVIEW
    assert rules.decide({"unheard_of": nested, "amount": 6}).fired == ("large", "without")


def test_the_stand_in_agrees_where_the_engine_is_at_its_limits() -> None:
    texts = ["amount >= 9007199254740991", "amount < 9007199254740991", "1000 * amount > 999 * amount"]
    conditions = [parse_condition(text, {}) for text in texts]
    engine, evaluate = Engine(compile_program(conditions)), compile_conditions(conditions)
    try:
        for amount in (0, 1, 2**31, 2**32, 2**52, 2**53 - 2, 2**53 - 1):
            expected = {index for index, truth in enumerate(evaluate({"amount": amount})) if truth}
            assert engine.match({"amount": amount}) == expected
    finally:
        engine.close()


def joined(count: int, spread: str) -> str:
    """A condition of so many alternating `and` and `or`, nested in each other or side by side."""
    text = "amount > 0"
    for number in range(count if spread == "nested" else 0):
        text = f"amount > {number} {('and', 'or')[number % 2]} ({text})"
    beside = [f"(amount > {number} or hour < {number})" for number in range(count)]
    return text if spread == "nested" else " and ".join(beside)


@pytest.mark.parametrize(("joins", "refused"), [(15, False), (16, True)])
def test_more_than_fifteen_joins_in_one_rule_are_refused_by_the_engine(joins: int, refused: bool) -> None:
    """Error 113, at load; it is why `compiler.MAX_RULE_JOINS` leaves room for the guard's own `$and`."""
    sides = [{"$or": [{"$gt": {"a": number}}, {"$lt": {"b": number}}]} for number in range(joins - 1)]
    definition = {"r": {"all": [{"m": {"$and": [{"$ex": {"pid": 1}}, *sides]}}]}}
    if refused:
        with pytest.raises(durable.error, match="113"):
            durable.create_ruleset("joins", json.dumps(definition))
    else:
        durable.delete_ruleset(durable.create_ruleset("joins", json.dumps(definition)))


@pytest.mark.parametrize("spread", ["nested", "beside"])
@pytest.mark.parametrize("joins", [13, 14, 15, 16, 17, 25])
def test_a_rule_with_more_joins_than_the_engine_takes_is_decided_all_the_same(joins: int, spread: str) -> None:
    condition = parse_condition(joined(joins, spread), {})
    engine, evaluate = Engine(compile_program([condition])), compile_conditions([condition])
    try:
        for amount in (0, 1, 7, 13, 14, 15, 16, 24, 25, 26):
            for hour in (0, 5, 23):
                facts = {"amount": amount, "hour": hour}
                assert engine.match(facts) == ({0} if evaluate(facts)[0] else set()), facts
    finally:
        engine.close()
