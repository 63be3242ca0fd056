"""What the commands at the database share: asking it, and ending with a code that a script can trust.

0 done, 1 a finding, 2 wrong usage or a database that does not answer.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import orjson
import typer
from rich.table import Column
from sqlalchemy.exc import SQLAlchemyError

from server.bootstrap_fraud import RulesDesk, open_rules_desk
from server.domain.errors import KassaError, Reason
from server.domain.rulesets import ReleaseRefused
from server.settings import DatabaseSettings, SettingsError, load

T = TypeVar("T")


def ask(work: Callable[[RulesDesk], Awaitable[T]]) -> T:
    """Runs one piece of work at the database, and says in words why it cannot be done."""
    settings = database_settings()

    async def run() -> T:
        async with open_rules_desk(settings) as desk:
            return await work(desk)

    try:
        return asyncio.run(run())
    except ReleaseRefused as refused:
        finding(str(refused))
    except KassaError as trouble:
        (finding if trouble.reason is Reason.SNOOZE_NOT_FOUND else usage)(trouble.message)
    except SQLAlchemyError as error:
        usage(f"The database refuses ({type(error).__name__}); was `kassa migrate` run?")


def database_settings() -> DatabaseSettings:
    """Reads where the database is."""
    try:
        return load(DatabaseSettings)
    except SettingsError as error:
        usage(f"The environment is not complete:\n{error}")


def print_json(value: object) -> None:
    """Prints anything of the domain as JSON."""
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def finding(message: str) -> NoReturn:
    """Ends the command with 1, and says why."""
    print(message, file=sys.stderr)
    raise typer.Exit(1)


def usage(message: str) -> NoReturn:
    """Ends the command with 2, and says what is to be done."""
    print(message, file=sys.stderr)
    raise typer.Exit(2)


def folded(*headers: str) -> list[Column]:
    """Makes columns in which what is too long goes on in the next line, and nothing is cut."""
    return [Column(header, overflow="fold") for header in headers]
