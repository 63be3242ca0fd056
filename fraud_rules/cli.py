"""`kassa rules …`: the analysts' commands, mounted by the gateway's own command line. Exit codes: 0 sound, 1 not."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fraud_rules.check import CheckReport, check_files
from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.loading import load_ruleset, run_own_tests
from fraud_rules.rules import Rule, RuleFile, words_of
from fraud_rules.sources import DEFAULT_RULES
from fraud_rules.testing import TestResult, describe

app = typer.Typer(name="rules", help="Check and test fraud rules.", no_args_is_help=True)

Files = Annotated[
    list[Path] | None, typer.Argument(help="Rule files; without any, the default rules.", show_default=False)
]
Lists = Annotated[
    Path | None, typer.Option(help="Folder of the lists that rules name.", show_default="the shipped one")
]
Rates = Annotated[Path | None, typer.Option(help="File of exchange rates.", show_default="the shipped one")]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


@app.command()
def check(
    files: Files = None,
    lists: Lists = None,
    rates: Rates = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
) -> None:
    """Check rule files: facts, types, ids, contradictions, missing tests."""
    console = Console()
    reports = check_files(_paths(files), lists=lists, rates=rates)
    for report in reports:
        _show_report(console, report)
    if not all(report.sound and not (strict and report.problems) for report in reports):
        raise typer.Exit(1)


@app.command()
def test(files: Files = None, lists: Lists = None, rates: Rates = None) -> None:
    """Run the tests inside rule files, then load each into the engine and compare it with the evaluator."""
    console = Console()
    passed = [_test(console, path, lists, rates) for path in _paths(files)]
    if not all(passed):
        raise typer.Exit(1)


def _test(console: Console, path: Path, lists: Path | None, rates: Path | None) -> bool:
    [report] = check_files([path], lists=lists, rates=rates)
    if report.checked is None:
        _show_report(console, report)
        return False
    results = run_own_tests(report.checked)
    _show_results(console, report.checked.file, results)
    if not all(result.passed for result in results):
        return False
    try:
        load_ruleset(path, lists=lists, rates=rates).close()
    except RulesError as error:
        _show_problems(console, error.problems)
        return False
    console.print(Text(f"{path}: engine and evaluator agree; hash {report.checked.hash[:12]}"))
    return True


def _paths(files: Sequence[Path] | None) -> Sequence[Path]:
    return files or [DEFAULT_RULES]


def _show_report(console: Console, report: CheckReport) -> None:
    _show_problems(console, report.problems)
    if report.checked is None:
        console.print(Text(f"{report.path}: not sound", style="bold red"))
        return
    file = report.checked.file
    table = Table(title=f"{report.path}: {file.name}", title_justify="left")
    for column in ("line", "rule", "does", "mode", "asks of the past", "tests"):
        table.add_column(column, justify="right" if column in ("line", "tests") else "left")
    for rule in file.rules:
        table.add_row(
            str(rule.line), rule.id, _effect(rule), _mode(rule), ", ".join(rule.windows), str(len(rule.tests))
        )
    console.print(table)


def _show_problems(console: Console, problems: Sequence[Problem]) -> None:
    for problem in problems:
        console.print(Text(str(problem), style=_STYLES[problem.severity]), soft_wrap=True)


def _show_results(console: Console, file: RuleFile, results: Sequence[TestResult]) -> None:
    failed = [result for result in results if not result.passed]
    console.print(Text(f"{file.name}: {len(results) - len(failed)} of {len(results)} tests passed"))
    if not failed:
        return
    table = Table()
    for column in ("line", "of", "given", "expected", "found"):
        table.add_column(column)
    for result in failed:
        given = describe(result.given, words_of(file.conditions, file.metadata))
        table.add_row(*map(Text, (str(result.line), result.subject, given, result.expected, result.found)))
    console.print(table)


def _effect(rule: Rule) -> str:
    return str(rule.action) if rule.action is not None else f"score {Decimal(rule.score_thousandths) / 1000}"


def _mode(rule: Rule) -> str:
    return str(rule.mode) if rule.percent == 100 else f"{rule.mode}, {rule.percent} %"
