"""Upkeep of what payments are counted by: old buckets become wider, what is over is forgotten. A sweep."""

from server.storage.daily_limits import forget_days
from server.storage.short_transactions import ShortTransactions
from server.storage.velocity_counters import fold
from server.storage.velocity_platform import forget

_AT_ONCE = 5_000


class KeepCounters:
    """See the module. Two workers may run it at once: the second one finds nothing to do."""

    def __init__(self, transactions: ShortTransactions) -> None:
        self._transactions = transactions

    async def __call__(self) -> int:
        """Does all that is due; returns how many rows that were."""
        done = await self._transactions.run(forget_days)
        while folded := await self._transactions.run(fold, _AT_ONCE):
            done += folded
        while forgotten := await self._transactions.run(forget, _AT_ONCE):
            done += forgotten
        return done
