"""Works through what a sweep has found, several items at a time. Called by the sweeps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from server.domain.errors import KassaError
from server.processors.contract import OutcomeUnknown, ProcessorRejected, ProcessorUnavailable

T = TypeVar("T")
_log = logging.getLogger(__name__)
_EXPECTED = (KassaError, OutcomeUnknown, ProcessorUnavailable, ProcessorRejected)
"""What may stop one item; it stays due and is tried again at the next sweep."""


async def side_by_side(items: Iterable[T], work: Callable[[T], Awaitable[object]], at_once: int) -> None:
    """Does the work of every item, then raises the first error that nobody expected.

    Args:
        at_once: How many items are worked on at the same time.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(item: T) -> None:
        async with slots:
            try:
                await work(item)
            except _EXPECTED as trouble:
                _log.warning("left for the next sweep: %s: %s", type(trouble).__name__, trouble)

    # One item's bug must not keep the others from the truth: all run, then the first error is raised.
    results = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
