"""`kassa rules …` for what needs the database: releases and stored decisions. Mounted beside the commands for files.

Exit codes: 0 done, 1 a finding (a gate is closed, nothing to go back to, a decision that differs), 2 wrong usage.
"""

import asyncio
import getpass
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from fraud_rules import RulesError, read_sources
from fraud_rules.cli import Lists, Rates, app
from server.bootstrap_fraud import RulesDesk, open_rules_desk, pass_gates
from server.clock import utc_now
from server.domain.errors import InvalidField, KassaError
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.rulesets import NewRelease, Release, ReleaseRefused, Role
from server.settings import DatabaseSettings, SettingsError, load
from server.storage.decisions import read_newest, read_one
from server.usecases.release_rules import History
from server.usecases.replay_decisions import ReplayReport, replay_decisions

T = TypeVar("T")
_SHORT = 12
_DURATION = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Reason = Annotated[str, typer.Option(help="Why; it stays in the history.", show_default=False)]
Author = Annotated[str | None, typer.Option(help="Who decided it.", show_default="the login name")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def promote(  # noqa: PLR0913, PLR0917 - each is an option
    file: Annotated[Path, typer.Argument(help="The rule file.", show_default=False)],
    reason: Reason,
    author: Author = None,
    percent: Annotated[
        int | None, typer.Option(min=1, max=99, help="As a candidate, for this share of customers.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Beside the live rules: recorded, never acted upon.")
    ] = False,
    lists: Lists = None,
    rates: Rates = None,
    as_json: Json = False,
) -> None:
    """Put a rule file in force on every server, once it has passed every gate; they obey it within two seconds."""
    if shadow and percent is not None:
        _usage("--percent and --shadow exclude each other: a shadow sees every payment.")
    role = Role.SHADOW if shadow else Role.LIVE if percent is None else Role.CANDIDATE
    new = NewRelease(role, percent or 100, _author(author), _reason(reason))
    _settings()
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            bar.add_task("check, own tests, child process, replay corpus, what servers can count", total=None)
            version = pass_gates(read_sources(file, lists=lists, rates=rates))
    except RulesError as error:
        _closed_gate(error, as_json=as_json)
    done = _ask(lambda desk: desk.rules.promote(version, new))
    if done is None and not as_json:
        Console().print(Text(f"{version.hash[:_SHORT]} is in force already; nothing was written."))
        return
    _show_release(done, as_json=as_json)


@app.command()
def rollback(
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="How the hash of the version begins.", show_default=False)] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="End the shadow ruleset instead.")] = False,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """End the candidate where there is one, else go back to the version that was in force before."""
    if shadow and to is not None:
        _usage("--to and --shadow exclude each other: a shadow is not replaced by another, it ends.")
    if to is not None and not re.fullmatch("[0-9a-f]{6,64}", to):
        _usage("--to must be at least the first six digits of a version's hash; see `kassa rules history`.")
    who, why = _author(author), _reason(reason)
    if shadow:
        done = _ask(lambda desk: desk.rules.end_shadow(who, why))
    else:
        done = _ask(lambda desk: desk.rules.roll_back(to, who, why))
    _show_release(done, as_json=as_json)


@app.command()
def history(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many releases.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what was released, by whom and why, newest first, and what is in force."""
    found = _ask(lambda desk: desk.rules.history(last))
    if as_json:
        _print_json({"in_force": found.in_force, "releases": found.lines})
    else:
        Console().print(_history_table(found))


@app.command()
def replay(
    payment: Annotated[str | None, typer.Argument(help="The payment, pay_…", show_default=False)] = None,
    last: Annotated[int | None, typer.Option(min=1, help="The newest so many decisions.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option(help="All since a time (2026-01-31, 2026-01-31T09:30) or for a while (90m, 12h, 7d).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide stored decisions once more, by the version that made them and both back ends, and compare every bit."""
    if (payment is None) == (last is None and since is None):
        _usage("Name a payment, or say which decisions by --last or --since.")
    key = None if payment is None else _payment_key(payment)
    moment = None if since is None else _moment(since)

    def work(connection: Connection) -> ReplayReport | None:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Decisions", total=last)
            tell = lambda done: bar.update(task, completed=done)  # noqa: E731
            if key is None:
                return replay_decisions(connection, read_newest(connection, last, moment), tell)
            one = read_one(connection, key)
            return None if one is None else replay_decisions(connection, [one], tell)

    report = _ask(lambda desk: desk.reads.run(work))
    if report is None:
        _finding("There is no decision on such a payment.")
    _show_replay(report, as_json=as_json)
    raise typer.Exit(1 if report.deviations else 0)


def _ask(work: Callable[[RulesDesk], Awaitable[T]]) -> T:
    """Runs one piece of work at the database, and says in words why it cannot be done."""
    settings = _settings()

    async def run() -> T:
        async with open_rules_desk(settings) as desk:
            return await work(desk)

    try:
        return asyncio.run(run())
    except ReleaseRefused as refused:
        _finding(str(refused))
    except KassaError as trouble:
        _usage(trouble.message)
    except SQLAlchemyError as error:
        _usage(f"The database refuses ({type(error).__name__}); was `kassa migrate` run?")


def _settings() -> DatabaseSettings:
    try:
        return load(DatabaseSettings)
    except SettingsError as error:
        _usage(f"The environment is not complete:\n{error}")


def _author(given: str | None) -> str:
    try:
        author = (getpass.getuser() if given is None else given).strip()
    except (KeyError, OSError):
        author = ""
    if not author:
        _usage("Nobody is logged in here under a name: say who you are by --author.")
    return author


def _reason(given: str) -> str:
    if not given.strip():
        _usage("--reason must say why.")
    return given.strip()


def _payment_key(payment: str) -> UUID:
    try:
        return parse_id(Prefix.PAYMENT, payment, "payment")
    except InvalidField as error:
        _usage(str(error))


def _moment(since: str) -> datetime:
    duration = _DURATION.fullmatch(since)
    if duration is not None:
        return utc_now() - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        _usage("--since must be a time such as 2026-01-31 or 2026-01-31T09:30, or a while such as 90m, 12h, 7d.")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _closed_gate(error: RulesError, *, as_json: bool) -> NoReturn:
    if as_json:
        _print_json({"release": None, "problems": error.problems})
    else:
        console = Console(stderr=True)
        for problem in error.problems:
            console.print(Text(str(problem), style="red"), soft_wrap=True)
        console.print(Text("A gate is closed; what was in force stays in force.", style="bold red"))
    raise typer.Exit(1)


def _show_release(done: Release | None, *, as_json: bool) -> None:
    if as_json:
        _print_json({"release": done, "problems": []})
    elif done is not None:
        share = f" for {done.percent} % of customers" if done.role is Role.CANDIDATE and done.hash else ""
        what = f"{done.hash[:_SHORT]} is {done.role.value}{share}" if done.hash else f"{done.role.value} has ended"
        Console().print(Text(f"Release {done.number}: {what}.", style="green"))


def _history_table(found: History) -> Table:
    table = Table(
        Column("release", justify="right"), "time (UTC)", "role", "version", Column("share", justify="right"),
        "author", "reason", "from", "",
    )  # fmt: skip
    newest = {release.number for release in found.in_force.values()}
    for line in found.lines:
        one = line.release
        in_force = one.number in newest
        table.add_row(
            str(one.number), f"{one.created_at:%Y-%m-%d %H:%M:%S}", one.role.value, one.hash[:_SHORT] or "ended",
            f"{one.percent} %" if one.hash else "", Text(one.author), Text(one.reason), Text(line.name),
            "in force" if in_force else "", style="bold green" if in_force else None,
        )  # fmt: skip
    return table


def _show_replay(report: ReplayReport, *, as_json: bool) -> None:
    deviations = [(render_id(Prefix.PAYMENT, one.payment_id), one.difference) for one in report.deviations]
    if as_json:
        told = [{"payment": payment, "difference": difference} for payment, difference in deviations]
        _print_json({"replayed": report.replayed, "undecided": report.undecided, "differences": told})
        return
    console = Console()
    if deviations:
        table = Table("payment", "back end", "field", "stored", "replayed")
        for payment, one in deviations:
            table.add_row(*map(Text, (payment, one.backend, one.field, one.stored, one.replayed)))
        console.print(table)
    differing = len({payment for payment, _ in deviations})
    undecided = f"; {report.undecided:,} had been decided by no rules" if report.undecided else ""
    console.print(
        Text(
            f"{report.replayed:,} decisions replayed, {differing:,} differ{undecided}.", "red" if differing else "green"
        )
    )


def _print_json(value: object) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def _finding(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


def _usage(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(2)
