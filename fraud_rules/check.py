"""Checks rule files without loading them: what `kassa rules check` and CI run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_rules.analysis import analyse
from fraud_rules.cost import cost_of
from fraud_rules.difference import rule_fields
from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.loading import Checked, read_file


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One file's findings; `checked` is None where the file is not sound."""

    path: str
    problems: tuple[Problem, ...]
    checked: Checked | None

    @property
    def sound(self) -> bool:
        """Whether the file has no error; warnings are allowed."""
        return not any(problem.severity is Severity.ERROR for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as plain values; a file that is not sound has no rules."""
        report = {"path": self.path, "sound": self.sound, "problems": [one.to_json() for one in self.problems]}
        if self.checked is None:
            return report
        return {**report, "hash": self.checked.hash, "ruleset": self.checked.file.name, "rules": _rules(self.checked)}


def check_files(
    paths: Iterable[Path | str], *, lists: Path | None = None, rates: Path | None = None
) -> Sequence[CheckReport]:
    """Reads and types every file, and reports what is wrong with each; raises nothing for a bad file.

    Args:
        lists, rates: As for `loading.read_file`.
    """
    return [_check(path, lists, rates) for path in paths]


def _check(path: Path | str, lists: Path | None, rates: Path | None) -> CheckReport:
    try:
        checked = read_file(path, lists=lists, rates=rates)
    except RulesError as error:
        return CheckReport(str(path), error.problems, None)
    found = [
        Problem(str(path), finding.rule.line, 0, finding.message, finding.hint, Severity.WARNING)
        for finding in analyse(checked.file)
    ]
    problems = sorted([*checked.warnings, *found], key=lambda problem: problem.line)
    return CheckReport(str(path), tuple(problems), checked)


def _rules(checked: Checked) -> list[dict[str, Any]]:
    rules = []
    for rule in checked.file.rules:
        cost = cost_of([rule.condition])
        told = {"cost": {"level": str(cost.level), "reads": cost.windows}, "asks": list(rule.windows)}
        fields = {**rule_fields(rule), "tests": len(rule.tests), "percent": rule.percent}
        rules.append({"id": rule.id, "line": rule.line, **fields, "merchants": list(rule.merchants), **told})
    return rules
