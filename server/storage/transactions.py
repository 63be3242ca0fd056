"""Transactions begun and ended by hand.

Engines whose connections begin none themselves belong here (`server.storage.engine.make_engine(…, alone=True)`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.storage.driver import send


class Transactions:
    """Begins transactions, each thread's on a connection of its own.

    A thread keeps it until it fails, since taking it out of the pool and giving it back costs as much as a statement.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._of_thread = threading.local()

    @contextmanager
    def begin(self) -> Iterator[tuple[Connection, Callable[[], None]]]:
        """Begins a transaction; yields its connection, and what commits it. Whatever is not committed is rolled back.

        The yielded function raises `DBAPIError` where Postgres has not said that it committed. Where the connection
        broke, nobody can tell whether it did: a crash may give the transaction's number to another one, so asking by
        that proves nothing.
        """
        connection: Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = self._engine.connect()
        committed = False

        def commit() -> None:
            nonlocal committed
            said = send(connection, "COMMIT").said
            if said != "COMMIT":  # so Postgres ends a transaction in which a statement failed, and calls that no error
                raise RuntimeError(f"Postgres answered {said} to COMMIT")
            committed = True

        try:
            send(connection, "BEGIN ISOLATION LEVEL READ COMMITTED")
            yield connection, commit
        except DBAPIError as error:
            if not is_rows_fault(error) and not connection.invalidated:
                connection.invalidate()  # the session itself is at fault, such as one that has lost its statements
            raise
        finally:
            if not committed:
                _roll_back(connection)
            if not committed or connection.invalidated:
                self.close()

    def close(self) -> None:
        """Gives the thread's connection back."""
        connection: Connection | None = getattr(self._of_thread, "connection", None)
        if connection is not None:
            self._of_thread.connection = None
            connection.close()


def _roll_back(connection: Connection) -> None:
    if not connection.invalidated:  # Postgres rolls back what a session leaves open
        try:
            send(connection, "ROLLBACK")
        except DBAPIError:
            connection.invalidate()


def is_rows_fault(error: DBAPIError | PoolTimeout) -> bool:
    """Whether one row's data or our own statement is wrong (classes 22, 23, 42); everything else passes with time."""
    code = getattr(getattr(error, "orig", None), "pgcode", None) or ""
    return code.startswith(("22", "23", "42"))


def error_name(error: DBAPIError | PoolTimeout) -> str:
    """Returns the driver's name of an error and its SQLSTATE, which never carry a row's values as its text may."""
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    return f"{type(error.orig).__name__} {getattr(error.orig, 'pgcode', None) or ''}".rstrip()
