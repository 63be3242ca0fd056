"""`kassa rules backtest`: judges a rule file over payments of the past. Registered on the rules' command line by `cli`.

Exit codes: 0 done, 1 the rules are not sound or a limit is not kept, 2 the data cannot be read or the call is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from fraud_rules.backtest import (
    DataError,
    Gates,
    Report,
    Source,
    run_backtest,
    source_of,
    to_json,
    to_markdown,
    to_page,
)
from fraud_rules.backtest.columns import LABEL
from fraud_rules.backtest.terminal import show_report
from fraud_rules.errors import RulesError
from fraud_rules.loading import load_ruleset
from fraud_rules.ruleset import Ruleset

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


class StoredPayments(Protocol):
    """Gives access to the decisions that a gateway has stored; its command line sets it as the context's object."""

    def stored_payments(self, since: datetime, until: datetime | None, merchant: str | None) -> Source:
        """Returns the payments made from `since` on and before `until`, of one merchant or of all."""
        ...


@dataclass(frozen=True, slots=True)
class _Outputs:
    html: Path | None
    markdown: Path | None
    as_json: bool


def backtest(  # noqa: PLR0913, PLR0917 - the command's options
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The rule file to judge.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Payments as CSV or Parquet, in the order of time.", show_default=False)
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Take the gateway's own stored decisions instead.")] = False,
    since: Annotated[datetime | None, typer.Option(help="With --stored: from when on, UTC.", formats=_DATES)] = None,
    until: Annotated[datetime | None, typer.Option(help="With --stored: before when, UTC.", formats=_DATES)] = None,
    merchant: Annotated[str | None, typer.Option(help="With --stored: of this merchant only, mer_….")] = None,
    label: Annotated[str, typer.Option(help="The column that holds fraud or legit.")] = LABEL,
    against: Annotated[Path | None, typer.Option(help="The live rule file to compare with.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML page.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary for a pull request.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    lists: Annotated[Path | None, typer.Option(help="Folder of lists.", show_default="the shipped one")] = None,
    rates: Annotated[Path | None, typer.Option(help="Exchange rates.", show_default="the shipped ones")] = None,
    min_precision: Annotated[
        float | None, typer.Option(help="Exit 1 where blocks are less precise, 0 to 1.", min=0, max=1)
    ] = None,
    min_recall: Annotated[
        float | None, typer.Option(help="Exit 1 where a smaller share of fraud is blocked.", min=0, max=1)
    ] = None,
    max_good_blocked: Annotated[
        float | None, typer.Option(help="Exit 1 where a greater share of good payments is blocked.", min=0, max=1)
    ] = None,
) -> None:
    """Judge a rule file over payments of the past: hits, money, precision, recall, overlap, and what would change.

    Facts of the past are counted anew as of each payment's time. The columns of a file are the facts, `time` (RFC
    3339), a label, and what became of the payment: see the README of the rules.
    """
    source = _source(context, data, stored, since, until, merchant, label)
    rulesets = _load([file] if against is None else [file, against], lists, rates)
    if merchant and any(fact.platform for ruleset in rulesets for fact in ruleset.velocity):
        _stop("A rule counts across all merchants: leave --merchant out.", 2)
    try:
        report = _run(source, rulesets)
        _write(report, _Outputs(html, markdown, as_json))
    except DataError as error:
        _stop(str(error), 2)
    finally:
        for ruleset in rulesets:
            ruleset.close()
    missed = list(Gates(min_precision, min_recall, max_good_blocked).missed(report))
    if missed:
        _stop("\n".join(missed), 1)


def _source(  # noqa: PLR0913, PLR0917 - the options that say what to read
    context: typer.Context,
    data: Path | None,
    stored: bool,
    since: datetime | None,
    until: datetime | None,
    merchant: str | None,
    label: str,
) -> Source:
    if stored is (data is not None):
        _stop("Name the payments: --data FILE, or --stored --since DATE.", 2)
    if data is not None:
        if since or until or merchant:
            _stop("--since, --until and --merchant are for --stored.", 2)
        return source_of(data, label)
    if since is None:
        _stop("--stored needs --since DATE.", 2)
    gateway = context.find_root().obj
    if not hasattr(gateway, "stored_payments"):
        _stop("Stored decisions are known to the gateway's own command line only: kassa rules backtest.", 2)
    given: StoredPayments = gateway
    end = until.replace(tzinfo=UTC) if until else None
    try:
        return given.stored_payments(since.replace(tzinfo=UTC), end, merchant)
    except ValueError as error:
        _stop(str(error), 2)


def _load(paths: Sequence[Path], lists: Path | None, rates: Path | None) -> list[Ruleset]:
    loaded: list[Ruleset] = []
    try:
        for path in paths:
            loaded.append(load_ruleset(path, lists=lists, rates=rates))
    except RulesError as error:
        for ruleset in loaded:
            ruleset.close()
        _stop("\n".join(map(str, error.problems)), 1)
    return loaded


def _run(source: Source, rulesets: Sequence[Ruleset]) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Payments", total=1.0)
        live = rulesets[1] if len(rulesets) > 1 else None
        return run_backtest(source, rulesets[0], live, lambda share: bar.update(task, completed=share))


def _write(report: Report, outputs: _Outputs) -> None:
    for path, render in ((outputs.html, to_page), (outputs.markdown, to_markdown)):
        if path is None:
            continue
        try:
            path.write_text(render(report), encoding="utf-8")
        except OSError as error:
            _stop(f"{path} cannot be written: {error.strerror}", 2)
    if outputs.as_json:
        print(to_json(report))
    else:
        show_report(Console(), report)


def _stop(message: str, code: int) -> NoReturn:
    Console(stderr=True).print(Text(message, style="bold red"), soft_wrap=True)
    raise typer.Exit(code)
