"""Finishes what was left lying: open transactions without a worker, webhooks not yet handled, what grew too old."""

import asyncio

from server.storage.deadlines import take_deadlines
from server.storage.payments import PaymentStore
from server.storage.processor_events import accounts_with_unhandled_events, unhandled_events
from server.storage.recovery import OpenTransaction, accounts_with_due_transactions, due_transactions, expire_keys
from server.storage.short_transactions import ShortTransactions
from server.usecases.account_drains import AccountDrains
from server.usecases.expire_payment import ExpirePayment
from server.usecases.handle_event import HandleEvent
from server.usecases.recover_transaction import Recovered, RecoverTransaction
from server.usecases.side_by_side import side_by_side

_KEYS_AT_ONCE = 10_000


class Sweep:
    """Runs the sweeps of the worker.

    Args:
        transactions: For events and keys.
        chunk: Items of one account that are looked up at once.
        at_once: How many of them are worked on at the same time.
        key_age_s: Seconds that an idempotency key lives at least once it is answered.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, recover: RecoverTransaction, handle: HandleEvent,
        expire: ExpirePayment, *, chunk: int = 200, at_once: int = 20, key_age_s: float = 24 * 3600.0,
    ) -> None:  # fmt: skip
        self._recover, self._transactions, self._key_age_s = recover, transactions, key_age_s
        self._expire, self._chunk, self._at_once, self._expiring = expire, chunk, at_once, asyncio.Lock()
        self._recovering = AccountDrains(
            lambda: store.read(accounts_with_due_transactions),
            lambda account, size: store.read(due_transactions, account, size),
            self._recover_one,
            chunk=chunk,
            at_once=at_once,
        )
        self._handling = AccountDrains(
            lambda: transactions.run(accounts_with_unhandled_events),
            lambda account, size: transactions.run(unhandled_events, account, size),
            handle,
            chunk=chunk,
            at_once=at_once,
        )

    async def transactions(self) -> int:
        """Begins to recover transactions whose lease or pause has ended; returns at how many accounts."""
        return await self._recovering.start()

    async def events(self) -> int:
        """Begins to handle webhooks that are stored and not handled; returns at how many accounts."""
        return await self._handling.start()

    async def close(self) -> None:
        """Waits for what has begun."""
        await self._recovering.close()
        await self._handling.close()

    async def _recover_one(self, one: OpenTransaction) -> Recovered:
        return await self._recover(one.merchant_id, one.payment_id, one.transaction_id)

    async def deadlines(self) -> int:
        """Calls off payments whose time is over; returns how many there were."""
        if self._expiring.locked():
            return 0
        async with self._expiring:
            due = await self._transactions.run(take_deadlines, self._chunk)
            await side_by_side(due, self._expire, self._at_once)
            return len(due)

    async def keys(self) -> int:
        """Forgets idempotency keys whose time is over; returns how many."""
        forgotten = 0
        while True:
            found = await self._transactions.run(expire_keys, self._key_age_s, _KEYS_AT_ONCE)
            forgotten += found
            if found < _KEYS_AT_ONCE:
                return forgotten
