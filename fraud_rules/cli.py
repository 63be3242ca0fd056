"""`kassa rules …`: the analysts' commands that need files alone, mounted by the gateway's own command line.

Exit codes: 0 fine, 1 something was found, 2 the command cannot be run as it was given.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from fraud_rules.backtest_cli import backtest
from fraud_rules.by_hand import HandError, facts_from_json, facts_from_words
from fraud_rules.check import check_files
from fraud_rules.difference import compare
from fraud_rules.errors import Problem, RulesError
from fraud_rules.explain import explain as explain_facts
from fraud_rules.loading import Checked, by_evaluator, load_ruleset, read_file, run_own_tests
from fraud_rules.rules import words_of
from fraud_rules.sources import DEFAULT_RULES
from fraud_rules.tables import show_difference, show_explanation, show_problems, show_report, show_results
from fraud_rules.testing import TestResult

app = typer.Typer(name="rules", help="Check, test, explain and compare fraud rules.", no_args_is_help=True)
app.command()(backtest)

Files = Annotated[
    list[Path] | None, typer.Argument(help="Rule files; without any, the default rules.", show_default=False)
]
Lists = Annotated[
    Path | None, typer.Option(help="Folder of the lists that rules name.", show_default="the shipped one")
]
Rates = Annotated[Path | None, typer.Option(help="File of exchange rates.", show_default="the shipped one")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command()
def check(
    files: Files = None,
    lists: Lists = None,
    rates: Rates = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    as_json: Json = False,
) -> None:
    """Check rule files: facts, types, ids, contradictions, rules that cannot matter, missing tests, cost."""
    reports = check_files(files or [DEFAULT_RULES], lists=lists, rates=rates)
    if as_json:
        print_json([report.to_json() for report in reports])
    else:
        console = Console()
        for report in reports:
            show_report(console, report)
    if not all(report.sound and not (strict and report.problems) for report in reports):
        raise typer.Exit(1)


@app.command()
def test(files: Files = None, lists: Lists = None, rates: Rates = None, as_json: Json = False) -> None:
    """Run the tests inside rule files, then load each into the engine and compare it with the evaluator."""
    told = [_test(None if as_json else Console(), path, lists, rates) for path in files or [DEFAULT_RULES]]
    if as_json:
        print_json(told)
    if not all(one["passed"] for one in told):
        raise typer.Exit(1)


@app.command()
def explain(  # noqa: PLR0913, PLR0917 - typer reads a command's options from its parameters
    file: Annotated[Path, typer.Argument(help="A rule file.")],
    given: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="Facts, as a test's `given` has them.")
    ] = None,
    facts: Annotated[
        Path | None, typer.Option("--facts", help="JSON file of facts as decisions keep them, amounts in cents.")
    ] = None,
    lists: Lists = None,
    rates: Rates = None,
    as_json: Json = False,
) -> None:
    """Explain a payment of which these facts are known: every rule, true, false or unknown, with what it saw."""
    checked = read_or_fail(file, lists, rates)
    ruleset = by_evaluator(checked)
    words = words_of(checked.file.conditions, checked.file.metadata)
    try:
        known = facts_from_json(facts.read_bytes(), words) if facts is not None else {}
        known |= facts_from_words(given or [], words)
    except (HandError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    explanation = explain_facts(ruleset, known)
    if as_json:
        print_json(explanation.to_json())
    else:
        show_explanation(Console(), explanation, words)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The rule file as it was.")],
    new: Annotated[Path, typer.Argument(help="The rule file as it is to be.")],
    lists: Lists = None,
    rates: Rates = None,
    as_json: Json = False,
) -> None:
    """Show what is different between two rule files; ends with 1 where something is, as diff does."""
    show_comparison(read_or_fail(old, lists, rates), read_or_fail(new, lists, rates), as_json=as_json)


def show_comparison(old: Checked, new: Checked, *, as_json: bool) -> None:
    """Shows what is different, and ends the command with 1 where something is."""
    difference = compare(old, new)
    if as_json:
        print_json(difference.to_json())
    else:
        show_difference(Console(), difference)
    if difference.old_hash != difference.new_hash:
        raise typer.Exit(1)


def read_or_fail(path: Path, lists: Path | None, rates: Path | None) -> Checked:
    """Reads a rule file; one that is not sound ends the command with 2 and its problems on standard error."""
    try:
        return read_file(path, lists=lists, rates=rates)
    except RulesError as error:
        show_problems(Console(stderr=True), error.problems)
        raise typer.Exit(2) from error


def print_json(value: Any) -> None:
    """Prints JSON, in ASCII whatever the terminal."""
    typer.echo(json.dumps(value, indent=2))


def _test(console: Console | None, path: Path, lists: Path | None, rates: Path | None) -> dict[str, Any]:
    """Tests one file, and shows it where there is a console."""
    results: Sequence[TestResult] = ()
    problems: Sequence[Problem] = ()
    digest = None
    try:
        checked = read_file(path, lists=lists, rates=rates)
        results = run_own_tests(checked)
        if console is not None:
            show_results(console, checked.file, results)
        if all(result.passed for result in results):
            load_ruleset(path, lists=lists, rates=rates).close()
            digest = checked.hash
    except RulesError as error:
        problems = error.problems
    if console is not None:
        show_problems(console, problems)
        if digest is not None:
            console.print(Text(f"{path}: engine and evaluator agree; hash {digest[:12]}", style="green"))
    tests = [result.to_json() for result in results]
    told = [problem.to_json() for problem in problems]
    return {"path": str(path), "passed": digest is not None, "hash": digest, "tests": tests, "problems": told}
