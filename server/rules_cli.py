"""`kassa rules promote`, `rollback`, `history` and `diff`: what is in force on every server. Mounted by `cli`."""

import getpass
import re
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from fraud_rules import Checked, RulesError, check_sources, read_sources
from fraud_rules.cli import Json, Lists, Rates, read_or_fail, show_comparison
from server.bootstrap_fraud import pass_gates
from server.domain.rulesets import NewRelease, Release, Role
from server.screening.gates import sources_of
from server.snooze_cli import as_plain
from server.terminal import ask, database_settings, finding, folded, print_json, usage
from server.usecases.release_rules import History

_SHORT = 12
_ROLES = {role.value.lower(): role for role in Role}

Reason = Annotated[str, typer.Option(help="Why; it stays in the history.", show_default=False)]
Author = Annotated[str | None, typer.Option(help="Who decided it.", show_default="the login name")]


def mount(app: typer.Typer) -> None:
    """Adds these commands to the analysts' own; `diff` takes the place of the one that knows files alone."""
    for command in (promote, rollback, history, diff):
        app.command()(command)


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
        usage("--percent and --shadow exclude each other: a shadow sees every payment.")
    role = Role.SHADOW if shadow else Role.LIVE if percent is None else Role.CANDIDATE
    new = NewRelease(role, percent or 100, _author(author), _reason(reason))
    database_settings()
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            bar.add_task("check, own tests, child process, replay corpus, what servers can count", total=None)
            version = pass_gates(read_sources(file, lists=lists, rates=rates))
    except RulesError as error:
        _closed_gate(error, as_json=as_json)
    done = ask(lambda desk: desk.rules.promote(version, new))
    if done is None and not as_json:
        Console().print(Text(f"{version.hash[:_SHORT]} is in force already; nothing was written."))
        return
    _show_release(done, as_json=as_json)


def rollback(
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="How the hash of the version begins.", show_default=False)] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="End the shadow ruleset instead.")] = False,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """End the candidate where there is one, else go back to the version that was in force before."""
    if shadow and to is not None:
        usage("--to and --shadow exclude each other: a shadow is not replaced by another, it ends.")
    if to is not None and not re.fullmatch("[0-9a-f]{6,64}", to):
        usage("--to must be at least the first six digits of a version's hash; see `kassa rules history`.")
    who, why = _author(author), _reason(reason)
    if shadow:
        done = ask(lambda desk: desk.rules.end_shadow(who, why))
    else:
        done = ask(lambda desk: desk.rules.roll_back(to, who, why))
    _show_release(done, as_json=as_json)


def history(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many releases.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what was released, by whom and why, newest first, what is in force, and what is snoozed."""
    found = ask(lambda desk: desk.rules.history(last))
    if as_json:
        snoozed = [as_plain(one) for one in found.snoozes]
        print_json({"in_force": found.in_force, "releases": found.lines, "snoozed": snoozed})
        return
    console = Console()
    console.print(_history_table(found))
    for one in found.snoozes:
        words = f"{one.rule} is snoozed until {one.expires_at:%Y-%m-%d %H:%M:%S} UTC by {one.author}: {one.reason}"
        console.print(Text(words, style="yellow"))


def diff(
    old: Annotated[str, typer.Argument(help="A rule file, or `live`, `candidate`, `shadow` for what is in force.")],
    new: Annotated[str, typer.Argument(help="What to compare it with.")],
    lists: Lists = None,
    rates: Rates = None,
    as_json: Json = False,
) -> None:
    """Show what differs between two rule files, or what is in force; ends with 1 where something does."""
    show_comparison(_named(old, lists, rates), _named(new, lists, rates), as_json=as_json)


def _named(name: str, lists: Path | None, rates: Path | None) -> Checked:
    role = _ROLES.get(name)
    if role is None:
        return read_or_fail(Path(name), lists, rates)
    version = ask(lambda desk: desk.rules.version_in(role))
    if version is None:
        finding(f"There is no {name} ruleset.")
    try:
        return check_sources(sources_of(version))
    except RulesError as error:
        finding(str(error))


def _author(given: str | None) -> str:
    try:
        author = (getpass.getuser() if given is None else given).strip()
    except (KeyError, OSError):
        author = ""
    if not author:
        usage("Nobody is logged in here under a name: say who you are by --author.")
    return author


def _reason(given: str) -> str:
    if not given.strip():
        usage("--reason must say why.")
    return given.strip()


def _closed_gate(error: RulesError, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"release": None, "problems": error.problems})
    else:
        console = Console(stderr=True)
        for problem in error.problems:
            console.print(Text(str(problem), style="red"), soft_wrap=True)
        console.print(Text("A gate is closed; what was in force stays in force.", style="bold red"))
    raise typer.Exit(1)


def _show_release(done: Release | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"release": done, "problems": []})
    elif done is not None:
        share = f" for {done.percent} % of customers" if done.role is Role.CANDIDATE and done.hash else ""
        what = f"{done.hash[:_SHORT]} is {done.role.value}{share}" if done.hash else f"{done.role.value} has ended"
        Console().print(Text(f"Release {done.number}: {what}.", style="green"))


def _history_table(found: History) -> Table:
    table = Table(
        Column("release", justify="right"), *folded("time (UTC)", "role"), Column("version", no_wrap=True),
        Column("share", justify="right"), *folded("author", "reason", "from", ""),
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
