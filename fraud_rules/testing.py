"""A file's own tests, run on both back ends when it is loaded, and by `kassa rules test`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fraud_rules.admission import with_usd
from fraud_rules.decision import Decision
from fraud_rules.evaluator import compile_conditions
from fraud_rules.facts import Fact, Unit, Value
from fraud_rules.rates import Rates
from fraud_rules.rules import Rule, RuleFile, RulesetTest
from fraud_rules.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of the file.

    Attributes:
        subject: The rule's id, or the ruleset's name.
        line: Where the test stands in the file.
        expected: What it asks for, such as `fires` or `BLOCK, score 0.9`.
        found: What came out.
    """

    __test__ = False  # not a test of the library itself

    subject: str
    line: int
    given: Mapping[str, Value]
    expected: str
    found: str
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Returns the result as plain values; facts in their own units."""
        told = {"of": self.subject, "line": self.line, "given": dict(self.given)}
        return {**told, "expected": self.expected, "found": self.found, "passed": self.passed}


def run_tests(file: RuleFile, ruleset: Ruleset) -> tuple[TestResult, ...]:
    """Runs the tests of every rule, those of rules that are off included, and then the ruleset's.

    A rule's tests are about its `when` alone; a ruleset's are about all that decides, merchants included.

    Args:
        ruleset: Made of this file; its back end decides the ruleset's tests.
    """
    of_rules = [result for rule in file.rules for result in _rule_results(rule, ruleset.rates)]
    return (*of_rules, *(_ruleset_result(test, ruleset) for test in file.tests))


def _rule_results(rule: Rule, rates: Rates) -> list[TestResult]:
    evaluate = compile_conditions([rule.condition])
    results = []
    for test in rule.tests:
        known, _ = with_usd(test.given, rates)
        [truth] = evaluate(known)
        found = "does not fire, for want of a fact" if truth is None else _fires(truth)
        passed = test.fires is (truth is True)
        results.append(TestResult(rule.id, test.line, known, _fires(test.fires), found, passed))
    return results


def _fires(truth: bool) -> str:
    return "fires" if truth else "does not fire"


def _ruleset_result(test: RulesetTest, ruleset: Ruleset) -> TestResult:
    decision = ruleset.decide(test.given)
    score = decision.score_thousandths if test.score_thousandths is None else test.score_thousandths
    passed = (test.outcome, score) == (decision.outcome, decision.score_thousandths)
    expected = f"{test.outcome}, score {Decimal(score) / 1000}"
    return TestResult(ruleset.name, test.line, decision.facts, expected, _found(decision), passed)


def _found(decision: Decision) -> str:
    rules = f" by {', '.join(decision.fired)}" if decision.fired else ""
    return f"{decision.outcome}, score {Decimal(decision.score_thousandths) / 1000}{rules}"


def describe(given: Mapping[str, Value], words: Mapping[str, Fact]) -> str:
    """Writes facts as the file does: amounts in US dollars, which are kept as cents, with their decimals."""
    return ", ".join(f"{name}: {as_written(value, words.get(name))}" for name, value in given.items())


def as_written(value: Value, word: Fact | None) -> str:
    """Writes a fact's value as a test's `given` has it."""
    if isinstance(value, bool):
        return str(value).lower()
    dollars = word is not None and word.unit is Unit.US_CENTS
    return f"{value // 100}.{value % 100:02}" if dollars and isinstance(value, int) else str(value)
