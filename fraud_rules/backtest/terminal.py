"""The report at a terminal. Called by the command line."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fraud_rules.backtest.markup import clean
from fraud_rules.backtest.report import Report
from fraud_rules.backtest.wording import by_worth, caveats, dollars, percent, period, recall, silent, tiles

_BAR = 10


def show_report(console: Console, report: Report) -> None:
    """Prints headlines, changes against live, rules, and what must be known to read them."""
    console.print(Text(f"{report.ruleset.name} over {clean(report.source)}: {period(report)}", style="bold"))
    console.print(_headlines(report))
    if report.live is not None:
        console.print(_changes(report))
    console.print(_rules(report))
    never = silent(report)
    if never:
        console.print(Text(f"Never fired: {', '.join(never)}", style="dim"))
    for one in caveats(report):
        console.print(Text(clean(one), style="dim"))
    rate = report.payments.all.count / report.seconds if report.seconds else 0
    console.print(Text(f"{report.payments.all.count:,} payments in {report.seconds:.1f} s, {rate:,.0f} a second"))


def _headlines(report: Report) -> Table:
    table = Table(show_header=False)
    for justify in ("left", "right", "left"):
        table.add_column(justify=justify)  # type: ignore[arg-type] # a literal, once it is out of the tuple
    if report.live is not None:
        table.add_column()
    for tile in tiles(report):
        style = "" if tile.better is None else "green" if tile.better else "red"
        change = [Text(f"{tile.change} against live", style=style) if tile.change else ""]
        table.add_row(tile.title, Text(tile.value, style="bold"), tile.detail, *(change if report.live else ()))
    return table


def _changes(report: Report) -> Table:
    table = Table(title="Against the live rules", title_justify="left")
    table.add_column("live → new")
    for column in ("payments", "money", "fraud", "good", "unlabelled"):
        table.add_column(column, justify="right")
    for one in report.changes:
        if one.before is not one.after:
            sums = one.payments
            numbers = (f"{part.count:,}" for part in (sums.fraud, sums.legit, sums.unlabelled))
            table.add_row(f"{one.before} → {one.after}", f"{sums.all.count:,}", dollars(sums.all.cents), *numbers)
    return table


def _rules(report: Report) -> Table:
    table = Table(title="Rules", title_justify="left")
    table.add_column("rule")
    table.add_column("does")
    for column in ("fired", "money"):
        table.add_column(column, justify="right")
    for column in ("precision", "recall"):
        table.add_column(column)
    for column in ("good money", "alone"):
        table.add_column(column, justify="right")
    for rule in by_worth(report):
        marks = " ".join(mark for mark in (rule.change, "" if rule.mode == "live" else rule.mode) if mark)
        table.add_row(
            Text.assemble(rule.id, (f" {marks}" if marks else "", "cyan")),
            rule.effect,
            f"{rule.hits.all.count:,}",
            dollars(rule.hits.all.cents),
            _bar(rule.hits.precision, "blue"),
            _bar(recall(rule, report), "yellow"),
            dollars(rule.hits.legit.cents),
            f"{rule.unique.all.count:,}",
        )
    return table


def _bar(part: float | None, colour: str) -> Text:
    if part is None:
        return Text("n/a")
    full = round(part * _BAR)
    return Text.assemble(("█" * full, colour), ("░" * (_BAR - full), "dim"), f" {percent(part):>7}")
