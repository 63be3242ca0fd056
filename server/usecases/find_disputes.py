"""Asks every account for the disputes that were opened lately, so that a webhook that never came hides none.

Called by the worker. Disputes that are known here are followed by recovery; this finds the others.
"""

import asyncio
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from server.clock import utc_now
from server.processors.contract import Account, Processor
from server.storage.payments import PaymentStore
from server.storage.processor_events import find_object, unknown_objects
from server.storage.reads import get_payment
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Processors
from server.usecases.follow_dispute import FollowDispute
from server.usecases.side_by_side import side_by_side

LOOK_BACK = timedelta(days=7)
"""Longer than any worker should be away; a processor sends its webhooks again for three days."""


class EveryAccount(Protocol):
    """Where accounts are listed and looked up."""

    async def every_id(self) -> list[UUID]:
        """The ids of all accounts."""

    async def by_id(self, account_id: UUID) -> Account:
        """Any account by its id."""


class FindDisputes:
    """See the module.

    Args:
        at_once: How many accounts are asked at the same time.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, accounts: EveryAccount, processors: Processors,
        follow: FollowDispute, *, at_once: int = 10,
    ) -> None:  # fmt: skip
        self._store, self._transactions, self._accounts = store, transactions, accounts
        self._processors, self._follow, self._at_once = processors, follow, at_once
        self._looking = asyncio.Lock()

    async def __call__(self) -> int:
        """Looks at every account; returns how many disputes were found that no event had told of."""
        if self._looking.locked():  # a slow processor holds up the sweep before
            return 0
        async with self._looking:
            found: list[UUID] = []
            await side_by_side(await self._accounts.every_id(), lambda one: self._look(one, found), self._at_once)
            return len(found)

    async def _look(self, account_id: UUID, found: list[UUID]) -> None:
        account = await self._accounts.by_id(account_id)
        processor = self._processors.get(account.processor)
        listed = await processor.list_disputes(account, utc_now() - LOOK_BACK)
        unknown = await self._transactions.run(unknown_objects, account.id, listed)
        # One that cannot be read must not hide the others.
        await side_by_side(unknown, lambda one: self._adopt(account, processor, one, found), 1)

    async def _adopt(self, account: Account, processor: Processor, key: str, found: list[UUID]) -> None:
        """Follows a dispute from now on, unless its payment was not made through Kassa."""
        standing = await processor.read_dispute(account, key)
        owner = await self._transactions.run(find_object, account.id, [standing.processor_payment_id])
        if owner is None:
            return
        payment = await self._store.read(get_payment, owner.merchant_id, owner.payment_id)
        assert payment is not None, "payments are never deleted"
        found.append((await self._follow.read(payment, key)).id)
