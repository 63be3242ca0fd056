"""Looks whether the books hold together, all the time: the newest payments at once, and every payment again in turn.

What is found is kept in a table that must be empty, and shown as a metric that must be zero. Called by the worker, and
by `cli` for all payments at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.storage.book_checks import CHECKS, Drift, run_check
from server.storage.book_walks import (
    BEGINNING,
    count_payments,
    drifting_payments,
    newest_payments,
    read_position,
    record_drift,
    set_position,
    walk_payments,
)
from server.storage.engine import Reads
from server.storage.locking import Key
from server.storage.short_transactions import ShortTransactions

WALK = "check_books"
_MOST_KNOWN = 1_000
_LONGEST_REST_S = 0.1
"""So that nine checks end before the next look is due, and a worker that is told to stop does not wait for long."""
_log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
"""Told how many payments were looked at, of how many."""


@dataclass(frozen=True, slots=True)
class BooksReport:
    """What a look at all payments has found. `drifts` is empty where the books hold together."""

    payments: int
    drifts: tuple[Drift, ...]


class CheckBooks:
    """Runs the checks of `storage.book_checks`.

    Args:
        chunk: Payments that one step of the walk looks at.
        newest: Transactions whose payments are looked at out of turn, since they have changed last.
        rest: After each check a look rests this many times as long as the check took, `_LONGEST_REST_S` at most, so
            that payments under way never meet all checks of a chunk in a row. `everything` takes no rest.
    """

    def __init__(
        self, reads: Reads, transactions: ShortTransactions, *, chunk: int = 500, newest: int = 500, rest: float = 4.0
    ) -> None:
        self._reads, self._transactions, self._chunk, self._newest = reads, transactions, chunk, newest
        self._rest, self._walking = rest, asyncio.Lock()

    async def newest(self) -> int:
        """Looks at the payments that changed last, and at those that drift; returns how many break a check."""
        payments = await self._reads.run(newest_payments, self._newest)
        return len(await self._look(payments, self._rest))

    async def walk(self) -> int:
        """Looks at the next payments in turn, and begins anew after the last; returns how many break a check.

        Does nothing while an earlier step still looks: both would look at the same payments.
        """
        if self._walking.locked():
            return 0
        async with self._walking:
            after = await self._reads.run(read_position, WALK)
            step = await self._reads.run(walk_payments, after, self._chunk)
            drifts = await self._look(step.payments, self._rest)
            await self._transactions.run(set_position, WALK, BEGINNING if step.last else step.position)
            return len(drifts)

    async def everything(self, progress: Progress) -> BooksReport:
        """Looks at every payment once, leaving the worker's walk where it is."""
        total, looked, drifts, after = await self._reads.run(count_payments), 0, list[Drift](), BEGINNING
        while True:
            step = await self._reads.run(walk_payments, after, self._chunk)
            drifts += await self._look(step.payments, rest=0.0)
            looked, after = looked + len(step.payments), step.position
            progress(looked, max(total, looked))
            if step.last:
                return BooksReport(looked, tuple(drifts))

    async def _look(self, payments: Sequence[Key], rest: float) -> list[Drift]:
        if not payments:
            return []
        # Read first: what another look finds meanwhile is not ours to forget.
        known = await self._reads.run(drifting_payments, _MOST_KNOWN)
        drifts: list[Drift] = []
        for check in CHECKS:
            began = time.monotonic()
            drifts += await self._reads.run(run_check, check, payments)
            await asyncio.sleep(min(_LONGEST_REST_S, rest * (time.monotonic() - began)))
        told = known.intersection(payments) | {(drift.merchant_id, drift.payment_id) for drift in drifts}
        if told:
            await self._transactions.run(record_drift, [check.name for check in CHECKS], [*told], drifts)
        for drift in drifts:
            if (drift.merchant_id, drift.payment_id) in known:
                continue
            _log.error("the books do not hold: %s: payment %s: %s", drift.check, drift.payment_id, drift.detail)
        return drifts
