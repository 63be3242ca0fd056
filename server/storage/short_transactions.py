"""Short transactions on threads, for the little that does not go through group commit. Called by use cases."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.crash_points import Moment, reach
from server.domain.errors import KassaError, Reason
from server.storage.engine import is_away

P = ParamSpec("P")
T = TypeVar("T")


class ShortTransactions:
    """Runs one function in one transaction.

    Args:
        engine: Connects as the writer; its pool should hold a connection for each thread.
        alone: For reads: the same role, and each statement stands alone (`make_engine`).
        threads: Where the blocking happens, so that the event loop never waits for Postgres.
    """

    def __init__(self, engine: Engine, threads: Executor, alone: Engine | None = None) -> None:
        self._engine, self._threads = engine, threads
        self._alone = alone or engine

    async def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls `work(connection, …)` and commits; what it raises rolls back and is raised here.

        Raises:
            KassaError: SERVICE_UNAVAILABLE: Postgres cannot be reached.
        """

        def on_thread() -> T:
            reach(work, Moment.BEFORE)
            with self._engine.begin() as connection:
                result = work(connection, *args, **kwargs)
                reach(work, Moment.WRITTEN)
            reach(work, Moment.COMMITTED)
            return result

        return await self._on_thread(on_thread)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls `work(connection, …)`, which only reads what the readers' role may not see; outside of a transaction.

        Each statement stands alone, so there is no round trip to begin and none to commit.

        Raises:
            KassaError: SERVICE_UNAVAILABLE: Postgres cannot be reached.
        """

        def on_thread() -> T:
            with self._alone.connect() as connection:
                return work(connection, *args, **kwargs)

        return await self._on_thread(on_thread)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (DBAPIError, PoolTimeout) as error:
            if not is_away(error):
                raise
            raise KassaError(
                Reason.SERVICE_UNAVAILABLE, "The database cannot be reached. Try again shortly."
            ) from error
