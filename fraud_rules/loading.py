"""From files or stored sources to a ruleset that may decide: check, test, load the engine, compare the back ends."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fraud_rules.admission import with_usd
from fraud_rules.agreement import corpus, first_disagreement
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine, EngineError
from fraud_rules.errors import Problem, RulesError
from fraud_rules.expressions import memberships_of
from fraud_rules.lists import Lists, parse_lists
from fraud_rules.rates import Rates, parse_rates
from fraud_rules.rulefile import read_rules
from fraud_rules.rules import RuleFile, words_of
from fraud_rules.ruleset import OnFailure, Ruleset, conditions_of
from fraud_rules.sources import Sources, read_sources
from fraud_rules.testing import TestResult, describe, run_tests

_LANGUAGE = b"2"  # part of every hash: raise it when the meaning of a rule file changes
_CORPUS = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """A sound file with all that it needs; nothing is loaded into the engine yet.

    Attributes:
        sources: What it was read from, without the lists that no rule names.
        file: As it was written; where the sources have a block threshold, that is not in it.
        hash: SHA-256 over the rules, the lists they use, the rates and the block threshold, in hexadecimal.
        warnings: Findings that do not keep the file from being loaded.
    """

    sources: Sources
    file: RuleFile
    rates: Rates
    hash: str
    warnings: tuple[Problem, ...]


def check_sources(sources: Sources) -> Checked:
    """Reads and types all that a ruleset is made of, without running anything.

    Raises:
        RulesError: Something in it is not sound.
    """
    entries = parse_lists(sources.lists)
    rates = parse_rates(sources.rates, "rates.yaml")
    result = read_rules(sources.rules, sources.name, entries)
    used = {one.list_name for condition in result.file.conditions for one in memberships_of(condition)}
    narrowed = replace(sources, lists={name: sources.lists[name] for name in sorted(used & sources.lists.keys())})
    return Checked(narrowed, result.file, rates, _hash(narrowed, entries), result.warnings)


def read_file(path: Path | str, *, lists: Path | None = None, rates: Path | None = None) -> Checked:
    """Reads and checks a rule file: `read_sources`, then `check_sources`.

    Raises:
        RulesError: A file cannot be read or is not sound.
    """
    return check_sources(read_sources(path, lists=lists, rates=rates))


def load_sources(
    sources: Sources, *, on_failure: OnFailure | None = None, block_threshold: int | None = None
) -> Ruleset:
    """Loads sources so far that they may decide on payments. Takes 0.05 to 2 seconds.

    Args:
        on_failure: Called by `Ruleset.decide` when a back end failed and another stood in.
        block_threshold: Where given, in place of the sources' own; the file's own tests run with the file's.

    Raises:
        RulesError: The file is not sound, one of its own tests fails, the engine refuses it, or the engine and the
            evaluator disagree about it. Nothing stays loaded.
    """
    checked = check_sources(sources if block_threshold is None else replace(sources, block_threshold=block_threshold))
    failed = [_failed(checked, result) for result in run_own_tests(checked) if not result.passed]
    if failed:
        raise RulesError([*checked.warnings, *failed])
    return _ruleset(checked, _engine(checked), on_failure)


def load_ruleset(
    path: Path | str,
    *,
    lists: Path | None = None,
    rates: Path | None = None,
    on_failure: OnFailure | None = None,
    block_threshold: int | None = None,
) -> Ruleset:
    """Loads a rule file: `read_sources`, then `load_sources`, which say what they take and raise."""
    sources = read_sources(path, lists=lists, rates=rates)
    return load_sources(sources, on_failure=on_failure, block_threshold=block_threshold)


def _with_threshold(file: RuleFile, block: int | None) -> RuleFile:
    return file if block is None else replace(file, thresholds=replace(file.thresholds, block=block))


def by_evaluator(checked: Checked) -> Ruleset:
    """Makes a ruleset that decides without the engine, though the file's own tests may fail: to test and to explain."""
    return _ruleset(checked, engine=None)


def run_own_tests(checked: Checked) -> Sequence[TestResult]:
    """Runs a file's own tests by the evaluator, with the thresholds of the file."""
    return run_tests(checked.file, _ruleset(replace(checked, sources=replace(checked.sources, block_threshold=None))))


def _ruleset(checked: Checked, engine: Engine | None = None, on_failure: OnFailure | None = None) -> Ruleset:
    return Ruleset(
        _with_threshold(checked.file, checked.sources.block_threshold),
        ruleset_hash=checked.hash,
        sources=checked.sources,
        rates=checked.rates,
        engine=engine,
        warnings=checked.warnings,
        on_failure=on_failure,
    )


def _engine(checked: Checked) -> Engine:
    """Loads the engine and compares it with the evaluator on the file's tests and on made-up payments."""
    conditions = conditions_of(checked.file)
    tested = [test.given for rule in checked.file.rules for test in rule.tests]
    tested += [test.given for test in checked.file.tests]
    payments = [with_usd(given, checked.rates)[0] for given in tested] + corpus(conditions, _CORPUS)
    try:
        engine = Engine(compile_program(conditions))
    except (EngineError, ValueError) as error:
        raise RulesError(
            [Problem(checked.sources.name, 0, 0, f"the engine does not take the rules: {error}")]
        ) from error
    try:
        disagreement = first_disagreement(engine, conditions, payments)
    except EngineError as error:
        engine.close()
        raise RulesError([Problem(checked.sources.name, 0, 0, f"the engine failed on the rules: {error}")]) from error
    if disagreement is not None:
        engine.close()
        indexes = sorted(disagreement.engine_only | disagreement.evaluator_only)
        message = f"engine and evaluator disagree on conditions {indexes} for {dict(disagreement.facts)}"
        raise RulesError([Problem(checked.sources.name, 0, 0, message, "report this as a bug, with the file")])
    return engine


def _failed(checked: Checked, result: TestResult) -> Problem:
    given = describe(result.given, words_of(checked.file.conditions, checked.file.metadata))
    message = f"the test of {result.subject} fails: expected {result.expected}, found {result.found}"
    return Problem(checked.sources.name, result.line, 0, message, f"given {given}" if given else "nothing is given")


def _hash(sources: Sources, lists: Lists) -> str:
    digest = hashlib.sha256()
    entries = (text.encode() for name in sources.lists for text in (name, "\n".join(lists[name])))
    for part in (_LANGUAGE, sources.rules, sources.rates, *entries):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    if sources.block_threshold is None:
        return digest.hexdigest()
    return hashlib.sha256(f"{digest.hexdigest()} block={sources.block_threshold}".encode()).hexdigest()
