"""Checks rule files without loading them: what `kassa rules check` and CI run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    return CheckReport(str(path), checked.warnings, checked)
