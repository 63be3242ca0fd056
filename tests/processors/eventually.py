"""Asks the sandbox again until what happens there by itself has happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.processors.contract import OutcomeUnknown

T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], *, within_s: float = 15) -> T:
    """Returns the first answer that is wanted; `OutcomeUnknown` counts as not yet."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                found = await ask()
            except OutcomeUnknown:
                pass
            else:
                if wanted(found):
                    return found
            await asyncio.sleep(0.05)
