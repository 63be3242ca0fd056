"""Every known trap of durable-rules, and the guard that keeps it shut."""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import durable_rules_engine as durable
import psutil
import pytest
from hypothesis import given, settings

from fraud_rules.compiler import MAX_NODES, compile_program
from fraud_rules.engine import Engine, EngineError
from fraud_rules.evaluator import compile_conditions
from fraud_rules.expressions import Comparison, Condition, FactRef, Literal, Operator
from fraud_rules.facts import VOCABULARY, Fact, Kind, Value
from fraud_rules.parser import parse_condition
from tests.fraud_rules.test_back_ends import conditions


def parsed(*texts: str) -> list[Condition]:
    return [parse_condition(text, {}) for text in texts]


@pytest.fixture
def engine_of() -> Iterator[Any]:
    engines: list[Engine] = []

    def load(*texts: str) -> Engine:
        engines.append(Engine(compile_program(parsed(*texts))))
        return engines[-1]

    yield load
    for engine in engines:
        engine.close()


def test_the_engine_is_not_given_patterns_and_they_take_linear_time(engine_of: Any) -> None:
    [shard] = compile_program(parsed('matches(description, r"^(a+)+$")')).shards
    assert "$mt" not in shard.definition
    assert "$imt" not in shard.definition
    assert engine_of('matches(description, r"^(a+)+$")').match({"description": "a" * 1_000 + "b"}) == set()


def test_a_missing_fact_on_the_right_never_compares_with_leftovers(engine_of: Any) -> None:
    engine = engine_of("billing_country != shipping_country", "amount > 3 * amount - 10", "ip_is_proxy == cvc_given")
    for _ in range(200):
        assert engine.match({"billing_country": "US", "shipping_country": "DE", "amount": 1}) == {0, 1}
        assert engine.match({"billing_country": "US", "ip_is_proxy": True}) == set()


def test_negations_of_known_end_and_see_only_payments(engine_of: Any) -> None:
    engine = engine_of("not known(ip)", "not known(email) and not known(ip)")
    assert engine.match({}) == {0, 1}
    assert engine.match({"email": "a"}) == {0}
    assert engine.match({"ip": "a", "email": "a"}) == set()


@settings(max_examples=200)
@given(rule=conditions)
def test_definitions_hold_nothing_that_the_engine_reads_as_always_true(rule: Condition) -> None:
    for shard in compile_program([rule]).shards:
        for name, definition in json.loads(shard.definition).items():
            [message] = definition["all"]
            assert list(message) == ["m"], name
            assert message["m"]["$and"][0] == {"$ex": {"pid": 1}}
            _check_shape(message["m"], shard.facts)


def _check_shape(part: dict[str, Any], facts: frozenset[str]) -> None:
    [(key, value)] = part.items()
    if key in ("$and", "$or"):
        assert len(value) >= 2
        for item in value:
            _check_shape(item, facts)
        return
    if key.startswith("$"):
        assert key in ("$eq", "$neq", "$lt", "$lte", "$gt", "$gte", "$ex", "$nex")
        [(key, value)] = value.items()
    assert key in facts or key in ("pid", "warm_up")
    assert not isinstance(value, float)


def test_an_or_with_both_sides_true_fires_once(engine_of: Any) -> None:
    assert engine_of("amount > 1 or amount > 2 or amount > 3").match({"amount": 9}) == {0}


@pytest.mark.parametrize("value", [None, 1.5, 2**53, -(2**53), "a" * 1_025])
def test_values_that_the_engine_misreads_never_reach_it(engine_of: Any, value: Value) -> None:
    with pytest.raises(EngineError, match="beyond"):
        engine_of("known(amount)").match({"amount": value})


def test_the_largest_integers_are_compared_right(engine_of: Any) -> None:
    limit = 2**53 - 1
    engine = engine_of(f"amount >= {limit}", f"amount < {limit}", "1000 * amount > 999 * amount")
    assert engine.match({"amount": limit}) == {0, 2}
    assert engine.match({"amount": limit - 1}) == {1, 2}


def test_arithmetic_that_could_leave_64_bits_is_computed_beforehand() -> None:
    inside, outside = parsed("amount > 1000 * amount", "amount > 2000 * amount")
    assert not compile_program([inside]).computed
    assert list(compile_program([outside]).computed.values()) == [outside]


def test_facts_whose_names_the_engine_cannot_tell_apart_are_refused() -> None:
    one, other = (FactRef(Fact(name, Kind.INTEGER, "")) for name in ("costarring", "liquid"))
    rules = [Comparison(Operator.GT, fact, Literal(1)) for fact in (one, other)]
    with pytest.raises(ValueError, match="cannot tell apart"):
        compile_program(rules)


def test_no_fact_has_a_name_that_means_something_to_the_engine() -> None:
    assert not {"id", "sid", "pid", "$s", "warm_up"} & VOCABULARY.keys()
    assert all(name.isascii() and name.isidentifier() and name.islower() for name in VOCABULARY)


def test_what_a_caller_adds_never_reaches_the_engine(engine_of: Any) -> None:
    engine = engine_of("amount > 5")
    extras: dict[str, Value] = {f"sid{number}": "x" for number in range(300)}
    assert engine.match({"amount": 6, "sid": "other", "id": "other", "liquid": 1, "costarring": 2, **extras}) == {0}


@pytest.mark.parametrize("text", ["amount >= 0", "amount > {0} - 1000", "amount > 1 or amount >= {0} - 1000"])
def test_hundreds_of_true_rules_all_fire_in_shards_within_the_limit(text: str) -> None:
    rules = parsed(*(text.format(number) for number in range(300)))
    program = compile_program(rules)
    assert len(program.shards) >= 300 // MAX_NODES
    engine = Engine(program)
    try:
        for _ in range(3):
            assert engine.match({"amount": 5}) == set(range(300))
    finally:
        engine.close()


def test_a_rule_with_too_many_ways_is_computed_beforehand(engine_of: Any) -> None:
    text = " and ".join(f"(amount > {number} or hour > {number})" for number in range(8))
    assert len(compile_program(parsed(text)).computed) == 1
    engine = engine_of(text)
    assert engine.match({"amount": 8}) == {0}
    assert engine.match({"amount": 7}) == set()


@pytest.mark.parametrize(
    "text",
    [
        " and ".join(f"(amount > {n} or hour > {n})" for n in range(4)),
        " or ".join(f"(amount != {n} and hour != {n})" for n in range(14)),
        " or ".join(f"(billing_country != shipping_country and amount > {n})" for n in range(9)),
        "(" * 8 + "hour > 1" + "".join(f" or amount > {n}) and hour > {n - 5}" for n in range(8)),
    ],
)
def test_a_rule_with_more_joins_than_the_engine_takes_is_computed_beforehand(engine_of: Any, text: str) -> None:
    engine = engine_of(text)
    evaluate = compile_conditions(parsed(text))
    for amount, hour in itertools.product((0, 3, 8, 20), (0, 3, 8, 20)):
        facts: dict[str, Value] = {"amount": amount, "hour": hour, "billing_country": "US", "shipping_country": "DE"}
        assert engine.match(facts) == ({0} if evaluate(facts)[0] else set())


def test_joins_within_joins_of_the_same_kind_are_one(engine_of: Any) -> None:
    text = "(amount > 1 and (hour > 2 and (weekday > 3 and (billing_country == shipping_country and cvc_given))))"
    [shard] = compile_program(parsed(text)).shards
    assert shard.definition.count("$and") == 3  # around the warm-up, around the rule, and the rule's own


def test_threads_get_their_own_answers(engine_of: Any) -> None:
    engine = engine_of(*(f"amount == {number}" for number in range(40)))
    wrong: list[int] = []
    start = threading.Barrier(4)

    def ask(offset: int) -> None:
        start.wait()
        wrong.extend(n for n in range(offset, 2_000, 4) if engine.match({"amount": n % 40}) != {n % 40})

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


@pytest.mark.parametrize("call", ["assert_fact", "start_action_for_state", "complete_and_start_action", "retract_fact"])
def test_after_an_error_the_state_is_cleared_and_answers_are_right_again(
    engine_of: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    engine = engine_of("amount > 5", "not known(ip)")
    real = getattr(durable, call)
    failing = iter([True])

    def fail_once(*arguments: object) -> object:
        if next(failing, False):
            raise durable.error("error code: 303")
        return real(*arguments)

    monkeypatch.setattr(durable, call, fail_once)
    with pytest.raises(EngineError, match="303"):
        engine.match({"amount": 6})
    for _ in range(3):
        assert engine.match({"amount": 6}) == {0, 1}
        assert engine.match({"ip": "a"}) == set()


def test_an_engine_that_cannot_be_cleared_is_given_up(engine_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of("amount > 5")

    def fail(*_: object) -> object:
        raise durable.error("error code: 101")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "assert_fact", fail)
        with pytest.raises(EngineError, match="101"):
            engine.match({"amount": 6})
    with pytest.raises(EngineError, match="closed"):
        engine.match({"amount": 6})


def test_firing_without_end_is_noticed(engine_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of("amount > 5")
    real = durable.complete_and_start_action
    endless = iter(['{"r0": {}}'] * 50)
    monkeypatch.setattr(durable, "complete_and_start_action", lambda *a: next(endless, None) or real(*a))
    with pytest.raises(EngineError, match="without end"):
        engine.match({"amount": 6})


def test_a_closed_engine_says_so_and_closing_twice_is_harmless(engine_of: Any) -> None:
    engine = engine_of("amount > 5")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.match({"amount": 6})


SWAPS = """
import os, psutil
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.parser import parse_condition
program = compile_program([parse_condition(f"amount > {n}", {}) for n in range(50)])
def swap(times):
    for _ in range(times):
        engine = Engine(program)
        engine.match({"amount": 25})
        engine.close()
swap(20)
before = psutil.Process(os.getpid()).memory_info().rss
swap(60)
print(psutil.Process(os.getpid()).memory_info().rss - before)
"""


def test_swapping_rulesets_leaks_nothing() -> None:
    """In a process of its own, since other tests' memory would blur the measure; a leak is 0.7 MB a swap."""
    child = subprocess.run([sys.executable, "-c", SWAPS], capture_output=True, timeout=60, check=True)
    assert int(child.stdout) < 15_000_000


def test_evaluating_leaks_nothing(engine_of: Any) -> None:
    engine = engine_of(*(f"amount > {number}" for number in range(50)))
    process = psutil.Process(os.getpid())
    for _ in range(500):
        engine.match({"amount": 25})
    before = process.memory_info().rss
    for _ in range(5_000):
        engine.match({"amount": 25})
    assert process.memory_info().rss - before < 4_000_000
