"""Finishes what was left lying: open transactions without a worker, webhooks not yet handled, keys grown old."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from sqlalchemy import Engine

from server.domain.errors import KassaError
from server.processors.contract import OutcomeUnknown, ProcessorRejected, ProcessorUnavailable
from server.storage.payments import PaymentStore
from server.storage.processor_events import ProcessorEvents
from server.storage.recovery import due_transactions, expire_keys
from server.usecases.handle_event import HandleEvent
from server.usecases.recover_transaction import RecoverTransaction

T = TypeVar("T")
_log = logging.getLogger(__name__)
_EXPECTED = (KassaError, OutcomeUnknown, ProcessorUnavailable, ProcessorRejected)
"""What may stop one item; it stays due and is tried again at the next sweep."""


class Sweep:
    """Runs the sweeps of the worker.

    Args:
        engine: The writer's, for keys that expire.
        chunk: Most items that one sweep takes.
        at_once: How many of them are worked on at the same time.
        key_age_s: Seconds that an idempotency key lives at least once it is answered.
    """

    def __init__(
        self, store: PaymentStore, events: ProcessorEvents, engine: Engine, recover: RecoverTransaction,
        handle: HandleEvent, *, chunk: int = 200, at_once: int = 20, key_age_s: float = 24 * 3600.0,
    ) -> None:  # fmt: skip
        self._store, self._events, self._engine = store, events, engine
        self._recover, self._handle = recover, handle
        self._chunk, self._at_once, self._key_age_s = chunk, at_once, key_age_s

    async def transactions(self) -> int:
        """Recovers transactions whose lease or pause has ended; returns how many there were."""
        due = await self._store.read(due_transactions, self._chunk)
        await self._each(due, lambda one: self._recover(one.merchant_id, one.payment_id, one.transaction_id))
        return len(due)

    async def events(self) -> int:
        """Handles webhooks that are stored and not handled; returns how many there were."""
        due = await asyncio.to_thread(self._events.unhandled, self._chunk)
        await self._each(due, self._handle)
        return len(due)

    async def keys(self) -> int:
        """Forgets idempotency keys whose time is over; returns how many."""
        return await asyncio.to_thread(expire_keys, self._engine, self._key_age_s, self._chunk * 50)

    async def _each(self, items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
        slots = asyncio.Semaphore(self._at_once)

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
