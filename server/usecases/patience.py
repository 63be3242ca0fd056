"""Waits for another operation on the same payment to end; a webhook may get in its merchant's way."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.domain.errors import KassaError, Reason

T = TypeVar("T")
_WAIT_S = 2.0
_LOOK_EVERY_S = 0.1


async def when_free(begin: Callable[[], Awaitable[T]]) -> T:
    """Begins an operation, again and again for two seconds while the payment's slot is taken.

    A webhook about the customer's act often asks the processor at the very moment when the merchant does.

    Raises:
        KassaError: OPERATION_IN_PROGRESS when the time is over, or whatever else `begin` is refused with.
    """
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return await begin()
        except KassaError as refusal:
            if refusal.reason is not Reason.OPERATION_IN_PROGRESS or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_LOOK_EVERY_S)
