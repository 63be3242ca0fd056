"""Finishes what was left lying: open transactions without a worker, webhooks not yet handled, what grew too old."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from server.storage.deadlines import take_deadlines
from server.storage.payments import PaymentStore
from server.storage.processor_events import unhandled_events
from server.storage.recovery import due_transactions, expire_keys
from server.storage.short_transactions import ShortTransactions
from server.usecases.expire_payment import ExpirePayment
from server.usecases.handle_event import HandleEvent
from server.usecases.recover_transaction import RecoverTransaction
from server.usecases.side_by_side import side_by_side

T = TypeVar("T")
_KEYS_AT_ONCE = 10_000


class Sweep:
    """Runs the sweeps of the worker.

    Args:
        transactions: For events and keys.
        chunk: Most items that one sweep takes.
        at_once: How many of them are worked on at the same time.
        key_age_s: Seconds that an idempotency key lives at least once it is answered.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, recover: RecoverTransaction, handle: HandleEvent,
        expire: ExpirePayment, *, chunk: int = 200, at_once: int = 20, key_age_s: float = 24 * 3600.0,
    ) -> None:  # fmt: skip
        self._store, self._transactions = store, transactions
        self._recover, self._handle, self._expire = recover, handle, expire
        self._chunk, self._at_once, self._key_age_s = chunk, at_once, key_age_s
        self._recovering, self._handling, self._expiring = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()

    async def transactions(self) -> int:
        """Recovers transactions whose lease or pause has ended; returns how many there were."""
        if self._recovering.locked():  # a slow processor holds up the sweep before; another would only queue behind it
            return 0
        async with self._recovering:
            due = await self._store.read(due_transactions, self._chunk)
            await self._each(due, lambda one: self._recover(one.merchant_id, one.payment_id, one.transaction_id))
            return len(due)

    async def events(self) -> int:
        """Handles webhooks that are stored and not handled; returns how many there were."""
        if self._handling.locked():
            return 0
        async with self._handling:
            due = await self._transactions.run(unhandled_events, self._chunk)
            await self._each(due, self._handle)
            return len(due)

    async def deadlines(self) -> int:
        """Calls off payments whose time is over; returns how many there were."""
        if self._expiring.locked():
            return 0
        async with self._expiring:
            due = await self._transactions.run(take_deadlines, self._chunk)
            await self._each(due, self._expire)
            return len(due)

    async def keys(self) -> int:
        """Forgets idempotency keys whose time is over; returns how many."""
        forgotten = 0
        while True:
            found = await self._transactions.run(expire_keys, self._key_age_s, _KEYS_AT_ONCE)
            forgotten += found
            if found < _KEYS_AT_ONCE:
                return forgotten

    async def _each(self, items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
        await side_by_side(items, work, self._at_once)
