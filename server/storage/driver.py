"""Statements of the hot path go straight to the driver, over SQLAlchemy's connections and with its errors.

SQLAlchemy's own way from a statement to its rows costs six times what the driver's does (decision record 0115), which
is most of what a batch of a few rows costs. Called by `storage.prepared` and `storage.transactions`.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


@dataclass(frozen=True, slots=True)
class Found:
    """What the last of the statements that were sent answered.

    Attributes:
        rows: As tuples; none where it returns none.
        names: Of their columns.
        count: How many rows it returned, or changed.
        said: What Postgres says was done, such as `COMMIT`.
    """

    rows: list[tuple[Any, ...]]
    names: tuple[str, ...]
    count: int
    said: str

    def mappings(self) -> list[dict[str, Any]]:
        """Returns the rows by their columns' names."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def send(connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None) -> Found:
    """Sends statements in one round trip and returns what the last one answered.

    Args:
        sql: In the driver's notation, `%(name)s`; without parameters a % is only that.

    Raises:
        DBAPIError: As SQLAlchemy would, without the parameters, which may be a row's; the connection is invalidated
            where it was lost.
    """
    if not connection.in_transaction():
        connection.begin()  # as every statement of SQLAlchemy's does: else it would neither commit nor roll back
    raw: Any = connection.connection.dbapi_connection
    try:
        with raw.cursor() as cursor:
            cursor.execute(sql, parameters)
            columns = cursor.description or ()
            rows = cursor.fetchall() if columns else []
            return Found(rows, tuple(column[0] for column in columns), cursor.rowcount, cursor.statusmessage or "")
    except psycopg2.Error as error:
        lost = connection.dialect.is_disconnect(error, raw, None)  # type: ignore[arg-type]  # it only describes errors
        if lost:
            _let_go(connection, error)
        raise DBAPIError.instance(
            sql, parameters, error, psycopg2.Error, hide_parameters=True, connection_invalidated=lost,
            dialect=connection.dialect,
        ) from error  # fmt: skip


def _let_go(connection: Connection, error: psycopg2.Error) -> None:
    """Has SQLAlchemy meet the loss as well, so that it replaces all that its pool holds and not this one alone."""
    with suppress(DBAPIError):
        connection.exec_driver_sql("SELECT 1")
    if not connection.invalidated:
        connection.invalidate(error)
