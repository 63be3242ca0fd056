"""Statements that tests give to group commit, and a way to have rows wait there."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from psycopg2 import OperationalError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.storage.group_commit import GroupCommit, Statement


def identify(connection: Connection, rows: Sequence[object]) -> list[object]:
    """Answers each row with its transaction."""
    xid = connection.scalar(text("SELECT pg_current_xact_id()::text"))
    return [xid] * len(rows)


class Gate:
    """A statement that keeps a writer busy until the test lets it go."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Semaphore(0), threading.Event()

    def __call__(self, connection: Connection, rows: Sequence[object]) -> list[object]:
        self.entered.release()
        assert self._open.wait(60)
        return list(rows)

    async def occupy(self, commit: GroupCommit, writers: int) -> "list[asyncio.Future[object]]":
        """Gives each writer something to do, and returns when all are at it."""
        tasks = []
        for number in range(writers):
            row = f"gate {number}"
            tasks.append(asyncio.ensure_future(commit.write(self, row, aggregates=(row,), tenant="gate")))
            await asyncio.to_thread(self.entered.acquire)
        return tasks

    def open(self) -> None:
        """Lets everybody go."""
        self._open.set()


async def queued(commit: GroupCommit, statement: Statement[Any, Any], rows: Sequence[object], **how: Any) -> list[Any]:
    """Queues rows, one task each, and returns the tasks once all of them wait."""
    tasks = [asyncio.ensure_future(commit.write(statement, row, aggregates=(row,), **how)) for row in rows]
    await asyncio.sleep(0)  # each task runs as far as its future
    return tasks


def broken() -> DBAPIError:
    """What the driver says of a connection that is lost."""
    return DBAPIError("COMMIT", None, OperationalError("server closed the connection"), connection_invalidated=True)
