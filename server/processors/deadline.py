"""One deadline over all the calls that answering one question takes; adapters put it around what calls twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.processors.contract import OutcomeUnknown


@asynccontextmanager
async def deadline(seconds: float, processor_name: str) -> AsyncIterator[None]:
    """Ends the block after so many seconds.

    Raises:
        OutcomeUnknown: It was not over.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise OutcomeUnknown(f"{processor_name} did not answer within {seconds:g} s") from None
