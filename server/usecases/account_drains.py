"""Works through what is due at processors, each account by itself: one that hangs holds up no other. For `sweep`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from server.domain.errors import KassaError
from server.usecases.side_by_side import side_by_side

T = TypeVar("T")
_log = logging.getLogger(__name__)
_MOST_CHUNKS = 20
"""Of one drain; items that stay due, whatever was tried, must not keep it busy for ever."""


class AccountDrains(Generic[T]):
    """At most one task for each account.

    Args:
        accounts: Finds the accounts that have something due.
        due: Finds at most so many items of one account, longest overdue first.
        work: Deals with one item; afterwards it must not be due at once.
        chunk: Items of one look.
        at_once: Of them, how many are worked on at the same time.
    """

    def __init__(
        self,
        accounts: Callable[[], Awaitable[Sequence[UUID]]],
        due: Callable[[UUID, int], Awaitable[Sequence[T]]],
        work: Callable[[T], Awaitable[object]],
        *,
        chunk: int,
        at_once: int,
    ) -> None:
        self._accounts, self._due, self._work = accounts, due, work
        self._chunk, self._at_once = chunk, at_once
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    async def start(self) -> int:
        """Begins to drain every account that has something due and is not being drained; returns how many."""
        idle = [account for account in await self._accounts() if account not in self._tasks]
        for account in idle:
            task = asyncio.get_running_loop().create_task(self._drain(account))
            self._tasks[account] = task
            task.add_done_callback(lambda _, account=account: self._tasks.pop(account))  # type: ignore[misc]
        return len(idle)

    async def close(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _drain(self, account: UUID) -> None:
        try:
            for _ in range(_MOST_CHUNKS):
                items = await self._due(account, self._chunk)
                await side_by_side(items, self._work, self._at_once)
                if len(items) < self._chunk:
                    return
        except KassaError as trouble:  # the database is away; the next sweep begins anew
            _log.warning("drain of account %s ends: %s", account, trouble)
        except Exception:  # a defect; nobody waits for this task who could be told
            _log.exception("drain of account %s ends by a defect", account)
