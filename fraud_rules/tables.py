"""What the analysts' commands print for people. Called by `cli`."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fraud_rules.check import CheckReport
from fraud_rules.cost import cost_of
from fraud_rules.difference import Change, Difference
from fraud_rules.errors import Problem, Severity
from fraud_rules.explain import ExplainedRule, Explanation, Part, Standing
from fraud_rules.facts import Fact
from fraud_rules.rules import Rule, RuleFile, words_of
from fraud_rules.testing import TestResult, as_written, describe
from fraud_rules.writing import written

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}
_SIGNS = {True: ("✓", "bold green"), False: ("✗", "red"), None: ("?", "yellow")}
_SAYS = {True: "fires", False: "does not fire", None: "unknown"}
_OUTCOMES = {"ALLOW": "bold green", "CHALLENGE": "bold cyan", "REVIEW": "bold yellow", "BLOCK": "bold red"}


def show_report(console: Console, report: CheckReport) -> None:
    """Shows what is wrong with a file, and its rules with what each costs."""
    show_problems(console, report.problems)
    if report.checked is None:
        console.print(Text(f"{report.path}: not sound", style="bold red"))
        return
    file = report.checked.file
    table = _table(
        "line", "rule", "does", "mode", "asks of the past", "cost", "tests", title=f"{report.path}: {file.name}"
    )
    for rule in file.rules:
        cost, tests = str(cost_of([rule.condition])), str(len(rule.tests))
        table.add_row(str(rule.line), rule.id, effect(rule), _mode(rule), "\n".join(rule.windows), cost, tests)
    console.print(table)
    whole = cost_of(file.conditions)
    console.print(Text(f"{len(file.rules)} rules; a payment's cost is {whole}; hash {report.checked.hash[:12]}"))


def show_problems(console: Console, problems: Sequence[Problem]) -> None:
    """Shows findings, one a line, in the form that editors recognise."""
    for problem in problems:
        console.print(Text(str(problem), style=_STYLES[problem.severity]), soft_wrap=True)


def show_results(console: Console, file: RuleFile, results: Sequence[TestResult]) -> None:
    """Shows how many tests passed, and those that did not."""
    failed = [result for result in results if not result.passed]
    style = "bold red" if failed else "green"
    console.print(Text(f"{file.name}: {len(results) - len(failed)} of {len(results)} tests passed", style=style))
    if not failed:
        return
    words = words_of(file.conditions, file.metadata)
    table = _table("line", "of", "given", "expected", "found")
    for result in failed:
        given = describe(result.given, words)
        table.add_row(*map(Text, (str(result.line), result.subject, given, result.expected, result.found)))
    console.print(table)


def show_explanation(console: Console, explanation: Explanation, words: Mapping[str, Fact]) -> None:
    """Shows a decision, and for every rule whether it fires and what each part of it saw."""
    decision = explanation.decision
    score = f", score {Decimal(decision.score_thousandths) / 1000}"
    by = f" by {', '.join(decision.fired)}" if decision.fired else ""
    headline = Text(f"{decision.outcome}", style=_OUTCOMES[decision.outcome]).append(f"{score}{by}", style="default")
    console.print(headline, soft_wrap=True)
    if decision.snoozed:
        console.print(Text(f"snoozed, and not acted upon: {', '.join(decision.snoozed)}", style="yellow"))
    if not decision.applied:
        console.print(Text("applies_to leaves this payment out; no rule counts", style="yellow"))
    table = _table("rule", "because")
    table.show_lines, table.columns[0].max_width = True, 26
    if explanation.applies_to is not None:
        table.add_row(Text("applies_to", style="bold"), _because(explanation.applies_to, words))
    for rule in explanation.rules:
        table.add_row(_headed(rule), _because(rule.condition, words))
    console.print(table)


def show_difference(console: Console, difference: Difference) -> None:
    """Shows what is different, rule by rule."""
    table = _table("where", "what", "old", "new")
    for change in difference.general:
        table.add_row("file", *_change(change))
    for rules, style, label in ((difference.removed, "red", "removed"), (difference.added, "green", "added")):
        for rule in rules:
            says = Text(f"{effect(rule)} when {written(rule.condition)}", style=style)
            old, new = (says, Text()) if label == "removed" else (Text(), says)
            table.add_row(rule.id, Text(label, style=style), old, new)
    for changed in difference.changed:
        for change in changed.changes:
            table.add_row(changed.id, *_change(change))
    if table.row_count:
        console.print(table)
    alike = "; both decide alike" if difference.decides_alike else ""
    console.print(Text(f"{difference.old_hash[:12]} → {difference.new_hash[:12]}{alike}"))


def effect(rule: Rule) -> str:
    """Says what a rule does where it fires."""
    return str(rule.action) if rule.action is not None else f"score {Decimal(rule.score_thousandths) / 1000}"


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=None if title is None else escape(title), title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in ("line", "tests") else "left", overflow="fold")
    return table


def _mode(rule: Rule) -> str:
    mode = str(rule.mode) if rule.percent == 100 else f"{rule.mode}, {rule.percent} %"
    return f"{mode}, {len(rule.merchants)} merchants" if rule.merchants else mode


def _headed(explained: ExplainedRule) -> Text:
    """A rule's name, whether it fires, what it does, and whether that counts."""
    rule, truth = explained.rule, explained.condition.truth
    counts = explained.standing in (Standing.LIVE, Standing.SHADOW, Standing.OUTSIDE_PERCENT, Standing.SNOOZED)
    shared = rule.percent < 100 and explained.standing in (Standing.LIVE, Standing.OUTSIDE_PERCENT)
    percent = f" ({rule.percent} %)" if shared else ""
    text = Text(rule.id, style="bold").append(f"\n{_SAYS[truth]}", style=_SIGNS[truth][1] if counts else "dim")
    return text.append(f"\n{effect(rule)}, {explained.standing}{percent}", style="not bold")


def _because(part: Part, words: Mapping[str, Fact]) -> Text:
    return Text("\n").join(_lines(part, words, 0))


def _lines(part: Part, words: Mapping[str, Fact], depth: int) -> Iterator[Text]:
    sign, style = _SIGNS[part.truth]
    yield Text("  " * depth).append(f"{sign} ", style=style).append(f"{part.joint}:" if part.joint else part.text)
    for name, value in part.seen.items():
        seen = "is unknown" if value is None else f"= {as_written(value, words.get(name))}"
        yield Text("  " * depth + f"    {name} {seen}", style="dim")
    for inner in part.parts:
        yield from _lines(inner, words, depth + 1)


def _change(change: Change) -> tuple[str, Text, Text]:
    return change.what, Text(change.old, style="red"), Text(change.new, style="green")
