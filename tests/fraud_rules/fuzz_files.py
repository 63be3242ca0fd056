"""Reads hostile files: `python -m tests.fraud_rules.fuzz_files --files 100000`.

Each gives a ruleset or a `RulesError` that says where, in time; and no rule fires for a payment of which nothing is
known unless it asks just that. `--seed N --files 1` reads the one file of that seed again.
"""

import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from fraud_rules.agreement import corpus, first_disagreement
from fraud_rules.analysis import analyse
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.evaluator import compile_conditions
from fraud_rules.expressions import And, Condition, Known, Not, Or
from fraud_rules.facts import MAX_TEXT, VOCABULARY
from fraud_rules.loading import Checked, check_sources, load_sources
from fraud_rules.ruleset import conditions_of
from fraud_rules.runtime_lists import ListEntry, RuntimeLists
from fraud_rules.sources import Sources
from tests.fraud_rules.fuzzing import main
from tests.fraud_rules.made_up import LISTS, ODD_TEXTS
from tests.fraud_rules.spoilt_files import EXCHANGE, RULES, soup, spoilt, spoilt_sources

__all__ = ["EXCHANGE", "RULES", "try_round", "try_sources"]

_SECONDS = 2.0
_LOADED = 0.02
"""This share of the sound files is loaded wholly, with its own tests."""


def try_sources(draw: Random, sources: Sources) -> Counter[str]:
    """Reads and, where they are sound, compiles the sources; raises AssertionError for what no file may do."""
    begun = time.process_time()
    try:
        checked = check_sources(sources)
        _check_conditions(checked)
        analyse(checked.file)
        if draw.random() < _LOADED:
            load_sources(sources).close()
    except RulesError as error:
        _check_problems(error, sources)
        result = Counter(files=1, refused=1)
    else:
        result = Counter(files=1, sound=1)
    took = time.process_time() - begun
    assert took < _SECONDS, f"reading took {took:.1f} s"
    return result


def _check_problems(error: RulesError, sources: Sources) -> None:
    contents = {sources.name: sources.rules, "rates.yaml": sources.rates}
    assert any(problem.severity is Severity.ERROR for problem in error.problems), "nothing is an error"
    for problem in error.problems:
        told = str(problem)
        told.encode()
        assert told.isprintable(), f"what is told has control characters: {told!r}"
        assert len(told) < 1_000, f"{len(told)} characters are too much to tell"
        _check_place(problem, contents.get(problem.file))


def _check_place(problem: Problem, content: bytes | None) -> None:
    assert problem.file and problem.message
    whole = ("limit is", "bytes", "not YAML", "not UTF-8", "the engine")
    assert problem.line > 0 or any(part in problem.message for part in whole), f"no place: {problem}"
    if content is not None:
        lines = content.decode("utf-8", "replace").count("\n") + content.count(b"\r") + 2
        lines += sum(content.decode("utf-8", "replace").count(mark) for mark in "\x85\u2028\u2029")
        assert 0 <= problem.line <= lines, f"no such line: {problem}"
        assert 0 <= problem.column <= len(content) + 1, f"no such column: {problem}"


def _check_conditions(checked: Checked) -> None:
    conditions = conditions_of(checked.file)
    truths = compile_conditions(conditions)({})
    for condition, truth in zip(conditions, truths, strict=True):
        assert truth is not True or _asks_what_is_known(condition), f"always true: {condition}"
    engine = Engine(compile_program(conditions))
    try:
        disagreement = first_disagreement(engine, conditions, [{}, *corpus(conditions, 5)])
    finally:
        engine.close()
    assert disagreement is None, f"the back ends differ: {disagreement}"


def _asks_what_is_known(condition: Condition) -> bool:
    match condition:
        case Known():
            return True
        case Not():
            return _asks_what_is_known(condition.operand)
        case And() | Or():
            return any(_asks_what_is_known(operand) for operand in condition.operands)
        case _:
            return False


def try_stored(draw: Random, sources: Sources) -> Counter[str]:
    """Reads damaged stored sources: they are sources, or a ValueError says that they are not."""
    try:
        Sources.from_json(spoilt(draw, sources.to_json(), [b"{}"]))
    except ValueError:
        return Counter(files=1, refused_stored=1)
    return Counter(files=1, read_stored=1)


def try_entries(draw: Random) -> Counter[str]:
    """Asks lists of hostile run-time entries: no entry breaks the others, and each finds itself."""
    at = datetime.now(UTC)
    values = [draw.choice((draw.choice(ODD_TEXTS), soup(draw), draw.choice(LISTS["networks"]))) for _ in range(8)]
    until = (None, at + timedelta(days=1), at - timedelta(days=1))
    entries = [ListEntry("blocked", draw.choice(("", "mer_1")), value, draw.choice(until)) for value in values]
    lists = RuntimeLists(entries)
    for name in ("ip", "email", "card", "card_country"):
        word = VOCABULARY[name]
        for entry in entries:
            value = word.normalise(entry.value.strip())[:MAX_TEXT]
            found = lists.contains("blocked", word, value, "mer_1", at)
            counts = entry.expires_at is None or entry.expires_at > at
            assert found or not counts or "/" in value or len(value) == MAX_TEXT, f"{entry} is not on its list"
    return Counter(files=1, entries=len(entries))


def try_round(seed: int) -> Counter[str]:
    """One file of the long run."""
    draw = Random(seed)
    sources, kind = spoilt_sources(draw), draw.random()
    if kind < 0.03:
        return try_stored(draw, sources)
    return try_entries(draw) if kind < 0.06 else try_sources(draw, sources)


if __name__ == "__main__":
    sys.exit(main("tests.fraud_rules.fuzz_files", "files", try_round, batch=2_000, seconds=20))
