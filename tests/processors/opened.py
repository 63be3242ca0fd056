"""Closes an adapter at the end of a block, whatever happened in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from server.processors.contract import Processor

P = TypeVar("P", bound=Processor)


@asynccontextmanager
async def opened(adapter: P) -> AsyncIterator[P]:
    """The adapter, until the end of the block."""
    try:
        yield adapter
    finally:
        await adapter.close()
