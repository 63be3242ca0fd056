"""`kassa rules list …`: what analysts put on lists while servers run. Mounted by `cli` beside the rules' commands.

Exit codes: 0 done, 1 there is no such entry or the database cannot be reached, 2 wrong usage.
"""

import getpass
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from server.clock import utc_now
from server.domain.errors import InvalidField, KassaError
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.list_entry import EVERY_MERCHANT, ListEntry, NewListEntry, check_list_name, check_value, check_words
from server.settings import DatabaseSettings, SettingsError, load
from server.storage.engine import make_engine
from server.storage.list_entries import ListEntryFilter, add_list_entry, list_list_entries, remove_list_entry
from server.terminal import folded

T = TypeVar("T")

app = typer.Typer(name="list", no_args_is_help=True, help="Values on lists, added and removed while servers run.")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MOST = 1_000

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Merchant = Annotated[
    str | None, typer.Option(help="Whose payments it concerns, mer_…", show_default="those of every merchant")
]
Author = Annotated[str | None, typer.Option(help="Who does it.", show_default="who is logged in")]


@app.command()
def add(
    list_name: Annotated[str, typer.Argument(metavar="LIST", help="The list, as rules name it.")],
    value: Annotated[str, typer.Argument(help="What a fact is compared with; a card by its fingerprint.")],
    reason: Annotated[str, typer.Option(help="Why it is put there.")],
    lasts: Annotated[
        str | None, typer.Option("--for", help="How long it counts: 30m, 12h, 90d.", show_default="for ever")
    ] = None,
    merchant: Merchant = None,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Put a value on a list; servers obey within two seconds. An older entry of the same value gives way."""
    with _Usage():
        new = NewListEntry(
            _merchant(merchant) or EVERY_MERCHANT,
            check_list_name(list_name),
            check_value(value),
            check_words(author or getpass.getuser(), "author"),
            check_words(reason, "reason"),
            expiry(lasts),
        )
    _show([_do(lambda connection: add_list_entry(connection, new))], as_json)


@app.command()
def remove(
    entry_id: Annotated[str, typer.Argument(metavar="ENTRY", help="The entry, lst_…, as `show` prints it.")],
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Take a value off its list. The entry is kept, marked with who removed it."""
    with _Usage():
        key = parse_id(Prefix.LIST_ENTRY, entry_id, "ENTRY")
        removed_by = check_words(author or getpass.getuser(), "author")
    _show([_do(lambda connection: remove_list_entry(connection, None, key, removed_by))], as_json)


@app.command()
def show(
    list_name: Annotated[str | None, typer.Argument(metavar="[LIST]", help="The list; without one, all.")] = None,
    merchant: Annotated[str | None, typer.Option(help="Whose entries, mer_…", show_default="those of all")] = None,
    past: Annotated[bool, typer.Option("--past", help="Also what was removed or has expired.")] = False,
    as_json: Json = False,
) -> None:
    """Show what stands on lists, newest first, at most 1,000 entries."""
    with _Usage():
        wanted = ListEntryFilter(
            _merchant(merchant), check_list_name(list_name) if list_name else None, include_past=past
        )
    _show(_do(lambda connection: list_list_entries(connection, wanted, None, _MOST)), as_json)


class _Usage:
    """Says in words what is wrong with an argument, and ends with 2."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, InvalidField):
            _end(str(error), 2)


def _merchant(given: str | None) -> UUID | None:
    return parse_id(Prefix.MERCHANT, given, "--merchant") if given else None


def expiry(lasts: str | None) -> datetime | None:
    """Reads how long something counts, from now on; None: for ever.

    Raises:
        InvalidField: It is no length of time.
    """
    if lasts is None:
        return None
    number, unit = lasts[:-1], _UNITS.get(lasts[-1:])
    if unit is None or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 10_000:
        raise InvalidField("--for", "must be a number of minutes, hours or days, such as 30m, 12h or 90d")
    return utc_now() + timedelta(**{unit: int(number)})


def _do(work: Callable[[Connection], T]) -> T:
    try:
        engine = make_engine(load(DatabaseSettings).database_url.get_secret_value(), 1)
    except SettingsError as error:
        _end(f"The environment is not complete:\n{error}", 2)
    try:
        with engine.begin() as connection:
            return work(connection)
    except KassaError as refusal:
        _end(refusal.message, 1)
    except OperationalError:
        _end("The database cannot be reached.", 1)
    finally:
        engine.dispose()


def _end(words: str, code: int) -> NoReturn:
    print(words, file=sys.stderr)
    raise typer.Exit(code)


def _show(entries: Sequence[ListEntry], as_json: bool) -> None:
    if as_json:
        print(orjson.dumps([_plain(entry) for entry in entries], option=orjson.OPT_INDENT_2).decode())
        return
    table = Table(Column("entry", no_wrap=True), *folded("list and value", "who and why"), Column("UTC", no_wrap=True))
    for entry in entries:
        until = entry.removed_at or entry.expires_at
        ended = f"\nremoved by {entry.removed_by}" if entry.removed_by else ""
        table.add_row(
            render_id(Prefix.LIST_ENTRY, entry.id),
            escape(f"{entry.list_name}\n{entry.value}"),
            escape(f"{entry.author}: {entry.reason}\nfor {_whose(entry) or 'every merchant'}{ended}"),
            f"{entry.created_at:%F %T}\n{f'{until:%F %T}' if until else 'for ever'}",
        )
    Console().print(table)


def _plain(entry: ListEntry) -> dict[str, object]:
    return {
        "id": render_id(Prefix.LIST_ENTRY, entry.id),
        "merchant_id": _whose(entry),
        "list_name": entry.list_name,
        "value": entry.value,
        "author": entry.author,
        "reason": entry.reason,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "removed_at": entry.removed_at,
        "removed_by": entry.removed_by,
    }


def _whose(entry: ListEntry) -> str:
    return "" if entry.merchant_id == EVERY_MERCHANT else render_id(Prefix.MERCHANT, entry.merchant_id)
