"""`kassa rules snooze …`: rules that are silent for a time. Mounted by `cli` beside the rules' commands.

Exit codes: 0 done, 1 there is no such snooze, 2 wrong usage or a database that does not answer.
"""

import getpass
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from server.clock import utc_now
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.list_entry import check_words
from server.domain.snooze import NewSnooze, Snooze, check_expiry, check_rule_id
from server.lists_cli import expiry
from server.storage.snoozes import SnoozeFilter, list_snoozes
from server.terminal import ask, folded, print_json, usage

app = typer.Typer(name="snooze", no_args_is_help=True, help="Rules that are silent for a time, at most 30 days.")
_MOST = 1_000

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Author = Annotated[str | None, typer.Option(help="Who does it.", show_default="who is logged in")]


@app.command()
def add(
    rule: Annotated[str, typer.Argument(help="The rule's id, as the live ruleset has it.")],
    lasts: Annotated[str, typer.Option("--for", help="How long it is silent: 30m, 12h, 7d; at most 30d.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Silence a rule: it is told of in decisions and not acted upon. Servers obey within two seconds."""
    try:
        until = expiry(lasts)
        assert until is not None, "it is required"
        new = NewSnooze(
            check_rule_id(rule, "RULE"),
            check_words(author or getpass.getuser(), "author"),
            check_words(reason, "reason"),
            check_expiry(until, utc_now(), "--for"),
        )
    except InvalidField as error:
        usage(str(error))
    _show([ask(lambda desk: desk.snoozes.add(new))], as_json=as_json)


@app.command()
def end(
    snooze_id: Annotated[str, typer.Argument(metavar="SNOOZE", help="The snooze, snz_…, as `list` prints it.")],
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Let a rule act again before its snooze is over."""
    try:
        key = parse_id(Prefix.SNOOZE, snooze_id, "SNOOZE")
        ended_by = check_words(author or getpass.getuser(), "author")
    except InvalidField as error:
        usage(str(error))
    _show([ask(lambda desk: desk.snoozes.end(key, ended_by))], as_json=as_json)


@app.command(name="list")
def show(
    rule: Annotated[str | None, typer.Argument(help="The rule's id; without one, all.")] = None,
    past: Annotated[bool, typer.Option("--past", help="Also those that are over.")] = False,
    as_json: Json = False,
) -> None:
    """Show which rules are silent, newest first, at most 1,000 snoozes."""
    wanted = SnoozeFilter(rule, include_past=past)
    _show(ask(lambda desk: desk.reads.run(list_snoozes, wanted, None, _MOST)), as_json=as_json)


def _show(snoozes: Sequence[Snooze], *, as_json: bool) -> None:
    if as_json:
        print_json([as_plain(one) for one in snoozes])
        return
    table = Table(Column("snooze", no_wrap=True), *folded("rule", "who and why"), Column("UTC", no_wrap=True))
    for one in snoozes:
        until = one.ended_at or one.expires_at
        ended = f"\nended by {one.ended_by}" if one.ended_by else ""
        table.add_row(
            render_id(Prefix.SNOOZE, one.id),
            escape(one.rule),
            escape(f"{one.author}: {one.reason}{ended}"),
            f"{one.created_at:%F %T}\n{until:%F %T}",
        )
    Console().print(table)


def as_plain(snooze: Snooze) -> dict[str, object]:
    """Returns a snooze as `--json` shows it, here and in the history."""
    return {
        "id": render_id(Prefix.SNOOZE, snooze.id),
        "rule": snooze.rule,
        "author": snooze.author,
        "reason": snooze.reason,
        "created_at": snooze.created_at,
        "expires_at": snooze.expires_at,
        "ended_at": snooze.ended_at,
        "ended_by": snooze.ended_by,
    }
