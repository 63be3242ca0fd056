"""From a path to a ruleset that may decide: read, check, test, load the engine, compare the back ends. Public."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fraud_rules.admission import with_usd
from fraud_rules.agreement import corpus, first_disagreement
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine, EngineError
from fraud_rules.errors import Problem, RulesError
from fraud_rules.expressions import And, Condition, Membership, Not, Or
from fraud_rules.lists import Lists, read_lists
from fraud_rules.rates import Rates, parse_rates
from fraud_rules.rulefile import read_rules
from fraud_rules.rules import RuleFile
from fraud_rules.ruleset import OnFailure, Ruleset, conditions_of
from fraud_rules.testing import TestResult, describe, run_tests

LISTS = Path(__file__).parent / "lists"
RATES = Path(__file__).parent / "rates.yaml"
DEFAULT_RULES = Path(__file__).parent / "rules" / "default.yaml"

_LANGUAGE = b"1"  # part of every hash: raise it when the meaning of a rule file changes
_CORPUS = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """A sound file with all that it needs; nothing is loaded into the engine yet.

    Attributes:
        hash: SHA-256 over the rules, the lists they use and the rates, in hexadecimal.
        warnings: Findings that do not keep the file from being loaded.
    """

    path: str
    file: RuleFile
    rates: Rates
    hash: str
    warnings: tuple[Problem, ...]


def read_file(path: Path | str, *, lists: Path | None = None, rates: Path | None = None) -> Checked:
    """Reads and checks a rule file, without running anything.

    Args:
        lists: The folder of `*.txt` lists; None for the one beside this module.
        rates: The rates file; None for the one beside this module.

    Raises:
        RulesError: A file cannot be read or is not sound.
    """
    rates_path = rates or RATES
    content, rates_content = _read(Path(path)), _read(rates_path)
    try:
        entries = read_lists(lists or LISTS)
    except OSError as error:
        raise RulesError([Problem(str(lists or LISTS), 0, 0, f"cannot be read: {error.strerror}")]) from error
    exchange = parse_rates(rates_content, str(rates_path))
    result = read_rules(content, str(path), entries)
    digest = _hash(content, rates_content, result.file, entries)
    return Checked(str(path), result.file, exchange, digest, result.warnings)


def load_ruleset(
    path: Path | str,
    *,
    lists: Path | None = None,
    rates: Path | None = None,
    on_failure: OnFailure | None = None,
    block_threshold: int | None = None,
) -> Ruleset:
    """Loads a rule file so far that it may decide on payments. Takes 0.05 to 2 seconds.

    Args:
        lists, rates: As for `read_file`.
        on_failure: Called by `Ruleset.decide` when a back end failed and another stood in.
        block_threshold: Thousandths from which on a payment is blocked, instead of the file's own; the file's own
            tests still run with the file's.

    Raises:
        RulesError: The file is not sound, one of its own tests fails, the engine refuses it, or the engine and the
            evaluator disagree about it. Nothing stays loaded.
    """
    checked = read_file(path, lists=lists, rates=rates)
    failed = [_failed(checked, result) for result in run_own_tests(checked) if not result.passed]
    if failed:
        raise RulesError([*checked.warnings, *failed])
    if block_threshold is not None:
        checked = _with_threshold(checked, block_threshold)
    engine = _engine(checked)
    return Ruleset(
        checked.file,
        ruleset_hash=checked.hash,
        rates=checked.rates,
        engine=engine,
        warnings=checked.warnings,
        on_failure=on_failure,
    )


def _with_threshold(checked: Checked, block: int) -> Checked:
    """Another threshold decides otherwise, so it makes another ruleset with another hash."""
    file = replace(checked.file, thresholds=replace(checked.file.thresholds, block=block))
    digest = hashlib.sha256(f"{checked.hash} block={block}".encode()).hexdigest()
    return replace(checked, file=file, hash=digest)


def run_own_tests(checked: Checked) -> Sequence[TestResult]:
    """Runs a file's own tests by the evaluator."""
    return run_tests(checked.file, Ruleset(checked.file, ruleset_hash=checked.hash, rates=checked.rates, engine=None))


def _engine(checked: Checked) -> Engine:
    """Loads the engine and compares it with the evaluator on the file's tests and on made-up payments."""
    conditions = conditions_of(checked.file)
    tested = [test.given for rule in checked.file.rules for test in rule.tests]
    tested += [test.given for test in checked.file.tests]
    payments = [with_usd(given, checked.rates)[0] for given in tested] + corpus(conditions, _CORPUS)
    try:
        engine = Engine(compile_program(conditions))
    except (EngineError, ValueError) as error:
        raise RulesError([Problem(checked.path, 0, 0, f"the engine does not take the rules: {error}")]) from error
    try:
        disagreement = first_disagreement(engine, conditions, payments)
    except EngineError as error:
        engine.close()
        raise RulesError([Problem(checked.path, 0, 0, f"the engine failed on the rules: {error}")]) from error
    if disagreement is not None:
        engine.close()
        indexes = sorted(disagreement.engine_only | disagreement.evaluator_only)
        message = f"engine and evaluator disagree on conditions {indexes} for {dict(disagreement.facts)}"
        raise RulesError([Problem(checked.path, 0, 0, message, "report this as a bug, with the file")])
    return engine


def _failed(checked: Checked, result: TestResult) -> Problem:
    given = describe(result.given)
    message = f"the test of {result.subject} fails: expected {result.expected}, found {result.found}"
    return Problem(checked.path, result.line, 0, message, f"given {given}" if given else "nothing is given")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RulesError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error


def _hash(rules: bytes, rates: bytes, file: RuleFile, lists: Lists) -> str:
    digest = hashlib.sha256()
    names = sorted({name for condition in _all_conditions(file) for name in _lists_of(condition)})
    parts = [_LANGUAGE, rules, rates, *(text.encode() for name in names for text in (name, "\n".join(lists[name])))]
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _all_conditions(file: RuleFile) -> list[Condition]:
    applies_to = [] if file.applies_to is None else [file.applies_to]
    return applies_to + [rule.condition for rule in file.rules]


def _lists_of(condition: Condition) -> set[str]:
    match condition:
        case And() | Or():
            return set().union(*(_lists_of(operand) for operand in condition.operands))
        case Not():
            return _lists_of(condition.operand)
        case Membership(list_name=name) if name:
            return {name}
        case _:
            return set()
