"""Compares our books with the processors': what they say was captured and refunded, whoever asked for it.

A bounded number of payments at a time: the newest once they have settled, then all the others in turn. Called by the
worker.
"""

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

from server.clock import utc_now
from server.domain.attention import AttentionKind
from server.processors.contract import Totals
from server.storage.attention import Attention, AttentionOver, close_attention, insert_attention
from server.storage.book_checks import PROCESSOR_TOTALS, Drift
from server.storage.book_walks import BEGINNING, drifting_payments, read_position, record_drift, set_position
from server.storage.payments import PaymentStore
from server.storage.processor_totals import BookedTotals, booked_totals, newest_booked, oldest_booked, position_of
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Accounts, Processors
from server.usecases.side_by_side import side_by_side

NEWEST, WALK = "compare_processor_newest", "compare_processor"
_MOST_KNOWN = 1_000
_log = logging.getLogger(__name__)


class CompareProcessor:
    """See the module.

    Args:
        chunk: Payments that one call asks processors about.
        at_once: How many of them at the same time.
        settled_after: Age that a payment has when it is compared for the first time.
        pause_s: Seconds after which a payment that differs is compared once more; its webhook may be under way.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, accounts: Accounts, processors: Processors, *,
        chunk: int = 60, at_once: int = 5, settled_after: timedelta = timedelta(minutes=10), pause_s: float = 15.0,
    ) -> None:  # fmt: skip
        self._store, self._transactions = store, transactions
        self._accounts, self._processors = accounts, processors
        self._chunk, self._at_once, self._settled_after, self._pause_s = chunk, at_once, settled_after, pause_s
        self._comparing = asyncio.Lock()

    async def __call__(self) -> int:
        """Compares the next payments; returns how many there were."""
        if self._comparing.locked():  # a slow processor holds up the call before
            return 0
        async with self._comparing:
            settled = position_of(utc_now() - self._settled_after)
            found = await self._newest(settled)
            found += await self._in_turn(settled, self._chunk - len(found))
            found += await self._known()
            wanted = {one.key: one for one in found if one.comparable}
            await side_by_side(wanted.values(), self._compare, self._at_once)
            return len(wanted)

    async def _newest(self, settled: UUID) -> list[BookedTotals]:
        """The newest that were never compared; where there are too many, the walk meets the others."""
        after = await self._store.read(read_position, NEWEST)
        found = await self._store.read(newest_booked, after, settled, self._chunk)
        if found:
            await self._transactions.run(set_position, NEWEST, found[0].authorization_id)
        return found

    async def _in_turn(self, settled: UUID, size: int) -> list[BookedTotals]:
        after = await self._store.read(read_position, WALK)
        found = await self._store.read(oldest_booked, after, settled, size) if size > 0 else []
        if size > 0:
            over = len(found) < size
            await self._transactions.run(set_position, WALK, BEGINNING if over else found[-1].authorization_id)
        return found

    async def _known(self) -> list[BookedTotals]:
        """Those that differed when they were last compared."""
        keys = await self._store.read(drifting_payments, _MOST_KNOWN, PROCESSOR_TOTALS)
        return [await self._store.read(booked_totals, *key) for key in keys]

    async def _compare(self, booked: BookedTotals) -> None:
        told = await self._ask(booked)
        if _differ(booked, told):
            await asyncio.sleep(self._pause_s)
            booked = await self._store.read(booked_totals, *booked.key)
            if not booked.comparable:
                return  # something has begun: the walk comes again
            told = await self._ask(booked)
        if _differ(booked, told):
            await self._tell(booked, told)
        elif booked.key in await self._store.read(drifting_payments, _MOST_KNOWN, PROCESSOR_TOTALS):
            await self._agree(booked)

    async def _ask(self, booked: BookedTotals) -> Totals:
        account = await self._accounts.by_id(booked.processor_account_id)
        return await self._processors.get(booked.processor).read_totals(account, booked.processor_payment_id)

    async def _tell(self, booked: BookedTotals, told: Totals) -> None:
        detail = (
            f"captured {booked.captured} and refunded {booked.refunded} {booked.currency} here, "
            f"{told.captured} and {told.refunded} {told.currency} at {booked.processor}"
        )
        _log.error("the books do not hold: %s: payment %s: %s", PROCESSOR_TOTALS, booked.payment_id, detail)
        drift = Drift(PROCESSOR_TOTALS, booked.merchant_id, booked.payment_id, detail)
        await self._transactions.run(record_drift, [PROCESSOR_TOTALS], [booked.key], [drift])
        kind = AttentionKind.PROCESSOR_DIFFERS
        item = Attention(booked.merchant_id, booked.payment_id, booked.authorization_id, kind, detail)
        await self._transactions.run(insert_attention, [item])

    async def _agree(self, booked: BookedTotals) -> None:
        """Forgets a difference that is no more."""
        await self._transactions.run(record_drift, [PROCESSOR_TOTALS], [booked.key], [])
        note = "the processor and the books agree again"
        over = AttentionOver(booked.merchant_id, booked.authorization_id, AttentionKind.PROCESSOR_DIFFERS, note)
        await self._transactions.run(close_attention, [over])


def _differ(booked: BookedTotals, told: Totals) -> bool:
    return (booked.captured, booked.refunded, booked.currency) != (told.captured, told.refunded, told.currency)
