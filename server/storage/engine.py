"""Connections to Postgres: one engine for the writers of group commit, one pool of threads for reads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.domain.errors import KassaError, Reason
from server.storage.prepared import prepare_on

P = ParamSpec("P")
T = TypeVar("T")


# A server that freezes in mid-batch must not hold the others' rows, and a database host that vanishes without a word
# must be noticed: https://www.postgresql.org/docs/current/runtime-config-client.html, libpq-connect.html
_CONNECT: dict[str, object] = {
    "options": "-c timezone=UTC -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s"
    # Every statement finds its rows by key. The planner takes any batch for a hundred rows, so for one it would rather
    # read and hash a whole table that is small, or that nobody has analyzed yet: measured, three times the work. And a
    # bitmap would collect all rows of a key where the newest few are asked for.
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"
    # Nor may it walk through a whole index once, to compare each row with each of the batch.
    " -c enable_material=off",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_LONGEST_ANSWER_S = 10.0


def dumps(value: object) -> str:
    """Writes JSON for Postgres; UUIDs, datetimes, enums and dataclasses included."""
    return orjson.dumps(value).decode()


def make_engine(url: str, connections: int, *, alone: bool = False) -> Engine:
    """Opens a pool of exactly `connections`; timestamps come back aware in UTC.

    Args:
        alone: Each statement stands alone, or in a transaction that is begun and ended by hand. Else transactions are
            READ COMMITTED, which takes a round trip to begin and one to end, and gives readers nothing: every statement
            has its own snapshot there too. It is a matter of the whole engine: SQLAlchemy sets back what was set for
            one connection, and where that connection has died, the driver's bare error comes out of it.
    """
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        isolation_level="AUTOCOMMIT" if alone else "READ COMMITTED",
        hide_parameters=True,  # an error's text must hold no row
        json_serializer=dumps,
        json_deserializer=orjson.loads,
        connect_args=_CONNECT,
    )
    prepare_on(engine)
    return engine


def is_away(error: DBAPIError | PoolTimeout) -> bool:
    """Says whether Postgres could not be reached; the driver has several names for a connection that was lost."""
    return isinstance(error, (OperationalError, PoolTimeout)) or error.connection_invalidated


class Reads:
    """Runs reads on a few threads, each with a connection, so that the event loop never waits for Postgres."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="read")

    async def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls `work(connection, …)` on a thread, outside of any transaction; its role may write nothing.

        Raises:
            KassaError: SERVICE_UNAVAILABLE: Postgres cannot be reached.
        """

        def on_thread() -> T:
            with self._engine.connect() as connection:
                return work(connection, *args, **kwargs)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, on_thread)
        except (DBAPIError, PoolTimeout) as error:
            if not is_away(error):
                raise
            raise KassaError(Reason.SERVICE_UNAVAILABLE, "The database cannot be reached. Try again.") from error

    async def answers(self) -> bool:
        """Says whether Postgres can be reached now, and answers in ten seconds: no caller waits for longer."""
        try:
            await asyncio.wait_for(self.run(_ask), _LONGEST_ANSWER_S)
        except (KassaError, TimeoutError):
            return False
        return True

    def close(self) -> None:
        """Ends the threads once their reads are done."""
        self._threads.shutdown()


def _ask(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
