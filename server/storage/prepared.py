"""Statements that each connection has Postgres parse and plan once, and writes that travel together in one round trip.

Batches send the same few statements for ever: parsing and planning them anew cost more than running them on a few rows.
And a round trip costs more than its time: the writer's thread must get the interpreter back after each.

    _CLOSE = prepared("UPDATE … FROM jsonb_to_recordset(CAST(:rows AS jsonb)) …")
    connection.execute(_CLOSE, {"rows": …})        # as any other statement

It is done in SQL, since psycopg2 does not know the protocol's own prepared statements:
https://www.postgresql.org/docs/current/sql-prepare.html. A pooler between server and database must therefore keep a
client's session together (PgBouncer: `pool_mode = session`).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, event, text
from sqlalchemy.dialects.postgresql.psycopg2 import dialect

from server.storage import driver
from server.storage.driver import Found

_OPTION = "prepared"
_DIALECT = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
_KNOWN = "prepared_statements"
_PARAMETER = re.compile(r"%\((\w+)\)s")


def prepared(sql: str) -> TextClause:
    """Makes a statement that is prepared by each connection that executes it.

    Args:
        sql: With parameters as `:name`; each must have a type of its own, or be cast to one.
    """
    return text(sql).execution_options(**{_OPTION: True})


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a statement is prepared and called; the parameters are listed in their order."""

    name: str
    prepare: str
    parameters: tuple[str, ...]

    def call(self, suffix: str = "") -> str:
        """Writes the call, for parameters whose names end so."""
        listed = ", ".join(f"%({name}{suffix})s" for name in self.parameters)
        return f"EXECUTE {self.name}({listed})" if listed else f"EXECUTE {self.name}"


@lru_cache(maxsize=1024)
def _plan(compiled: str) -> _Plan:
    """Plans a statement in the driver's notation, `%(name)s`."""
    parameters = tuple(dict.fromkeys(_PARAMETER.findall(compiled)))
    numbered = _PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", compiled).replace("%%", "%")
    # By content, so that threads agree on it without a lock.
    name = f"kassa_{hashlib.sha256(compiled.encode()).hexdigest()[:24]}"
    return _Plan(name, f"PREPARE {name} AS {numbered}", parameters)


def prepare_on(engine: Engine) -> None:
    """Lets an engine prepare what is marked as `prepared`."""
    event.listen(engine, "before_cursor_execute", _rewrite, retval=True)


def _rewrite(  # noqa: PLR0913, PLR0917 - SQLAlchemy's signature
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    if not context.execution_options.get(_OPTION):
        return statement, parameters
    plan = _plan(statement)
    if plan.name not in _known(connection):
        cursor.execute(plan.prepare)
        _known(connection).add(plan.name)
    return plan.call(), parameters


def _known(connection: Connection) -> set[str]:
    """What the database session has prepared; it is forgotten with the session."""
    known: set[str] = connection.info.setdefault(_KNOWN, set())
    return known


class Together:
    """Writes that are sent in one round trip, in the order in which they were added.

    It is given in the place of a connection to functions that only write. What nobody sends is never done.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._calls: list[str] = []
        self._parameters: dict[str, Any] = {}

    def execute(self, statement: TextClause, parameters: Mapping[str, Any]) -> None:
        """Adds a statement that was made by `prepared`."""
        plan = _plan(_compiled(statement))
        if plan.name not in _known(self._connection):
            driver.send(self._connection, plan.prepare)
            _known(self._connection).add(plan.name)
        suffix = f"_{len(self._calls)}"
        self._calls.append(plan.call(suffix))
        self._parameters |= {f"{name}{suffix}": parameters[name] for name in plan.parameters}

    def read(self, statement: TextClause, parameters: Mapping[str, Any]) -> Found:
        """Sends everything and then this statement; returns what it found."""
        self.execute(statement, parameters)
        return self._send()

    def send(self) -> None:
        """Sends everything that was not sent yet."""
        if self._calls:
            self._send()

    def _send(self) -> Found:
        calls, parameters = self._calls, self._parameters
        self._calls, self._parameters = [], {}
        return driver.send(self._connection, "; ".join(calls), parameters)


def read(connection: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> Found:
    """Sends one statement that was made by `prepared`, and returns what it found."""
    return Together(connection).read(statement, parameters)


@lru_cache(maxsize=1024)
def _compiled(statement: TextClause) -> str:
    return str(statement.compile(dialect=_DIALECT))


Writes = Connection | Together
"""Where a function that only writes sends its statements."""
