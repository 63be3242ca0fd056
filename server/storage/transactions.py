"""Transactions begun and ended by hand, which know their numbers: who loses the answer to COMMIT can ask for it.

Engines whose connections begin none themselves belong here (`server.storage.engine.make_engine(…, alone=True)`).
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.storage.driver import send

_log = logging.getLogger(__name__)
_MAX_PAUSE_S = 1.0


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

        The yielded function raises `DBAPIError` where the transaction was not committed; where the connection broke in
        between, it has asked Postgres first.
        """
        connection: Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = self._engine.connect()
        committed = False

        def commit() -> None:
            nonlocal committed
            self._commit(connection, xid)
            committed = True

        try:
            # Its number, too, is learned in this round trip.
            [[xid]] = send(connection, "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id()::text").rows
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

    def _commit(self, connection: Connection, xid: str) -> None:
        try:
            said = send(connection, "COMMIT").said
        except DBAPIError as error:
            if not error.connection_invalidated or not _was_committed(self._engine, xid):
                raise
        else:
            if said != "COMMIT":  # so Postgres ends a transaction in which a statement failed, and calls that no error
                raise RuntimeError(f"Postgres answered {said} to COMMIT")


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
    """Returns the driver's name of an error, which never carries a row's values as its text may."""
    return type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__


def _was_committed(engine: Engine, xid: str) -> bool:
    """Asks Postgres what became of a COMMIT whose answer was lost, for as long as it takes to know."""
    for attempt in itertools.count():
        try:
            with engine.connect() as connection:
                status = connection.scalar(text("SELECT pg_xact_status(CAST(:xid AS xid8))"), {"xid": xid})
        except (DBAPIError, PoolTimeout) as error:
            if is_rows_fault(error):
                # Postgres does not know the number: a failover has lost it. Writing again is safe, since a claim
                # or a settlement that stands after all is found standing.
                return False
            _log.warning("the fate of transaction %s is unknown; asking again", xid)
        else:
            if status != "in progress":
                return bool(status == "committed")
        time.sleep(min(_MAX_PAUSE_S, 0.01 * 2 ** min(attempt, 10)))
    raise AssertionError("unreachable")
