"""Refusals that pass, which callers are told to meet by coming again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.domain.errors import KassaError, Reason

T = TypeVar("T")


async def again_while(reason: Reason, call: Callable[[], Awaitable[T]]) -> T:
    """Calls again while it is refused for this reason, as on a machine that stands still for a moment; for a minute."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except KassaError as refusal:
                if refusal.reason is not reason:
                    raise
            await asyncio.sleep(0.1)
