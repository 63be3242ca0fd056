"""Keeps work on money alive when its caller leaves: a disconnect cancels the handler, never the payment."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from server.domain.errors import KassaError

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Shield:
    """Runs coroutines in tasks of their own, and waits for all of them when the server drains."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` to its end whether or not the caller stays to hear of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the event loop alone would not keep it alive
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_unheard)
            raise

    async def drain(self) -> None:
        """Waits for everything that is under way; failures have been told to whoever waited for them."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _log_unheard(task: "asyncio.Task[Any]") -> None:
    """A refusal that nobody waits for is no trouble; a defect is, whoever hears of it."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, KassaError):
        _log.error("failed after its caller had left", exc_info=error)
