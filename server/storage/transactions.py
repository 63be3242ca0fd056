"""A transaction begun and ended by hand, which knows its number: whoever loses the answer to COMMIT can ask for it.

Engines whose connections begin none themselves belong here (`server.storage.engine.make_engine(…, alone=True)`).
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_log = logging.getLogger(__name__)
_MAX_PAUSE_S = 1.0


@contextmanager
def transaction(connection: Connection) -> Iterator[Callable[[], None]]:
    """Begins a transaction and learns its number, in one round trip; yields what commits it. An error rolls back.

    The yielded function raises `DBAPIError` where the transaction was not committed; where the connection broke in
    between, it has asked Postgres first.
    """
    xid = connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id()::text").scalar()

    def commit() -> None:
        try:
            connection.exec_driver_sql("COMMIT")
        except DBAPIError as error:
            if not error.connection_invalidated or not _was_committed(connection.engine, str(xid)):
                raise

    try:
        yield commit
    except BaseException:
        if not connection.invalidated:  # Postgres rolls back what a session leaves open
            try:
                connection.exec_driver_sql("ROLLBACK")
            except DBAPIError:
                connection.invalidate()
        raise


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
