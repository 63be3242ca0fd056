"""Reads a merchant's books, and those of all for the platform. Called by `rpc.ledger_service`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from server.storage.engine import Reads
from server.storage.ledger_reads import (
    Balance,
    EntryFilter,
    LedgerEntry,
    Sums,
    final_until,
    list_entries,
    read_balances,
    read_trial_balance,
)
from server.storage.merchants import read_merchant
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.merchants import require_merchant
from server.usecases.newest_first import NewestFirst


@dataclass(frozen=True, slots=True)
class Balances:
    """The balances of a merchant's books. `at` is None where all that is booked counts."""

    merchant_id: UUID
    balances: tuple[Balance, ...]
    at: datetime | None


class ReadLedger:
    """Answers questions about the books.

    Args:
        transactions: Connects as the writer, who alone sees which entries may still come.
    """

    def __init__(self, reads: Reads, transactions: ShortTransactions, pages: NewestFirst) -> None:
        self._reads, self._transactions, self._pages = reads, transactions, pages

    async def balances(self, merchant_id: UUID, at: datetime | None) -> Balances:
        """Returns the balances of a moment, or of the last one before it whose entries are all there.

        Raises:
            KassaError: MERCHANT_NOT_FOUND.
        """
        await self._require(merchant_id)
        if at is not None:
            at = min(at, await self._transactions.run(final_until))
        found = await self._reads.run(read_balances, merchant_id, at)
        return Balances(merchant_id, tuple(found), at)

    async def entries(
        self, merchant_id: UUID, wanted: EntryFilter, page_size: int, page_token: str
    ) -> Page[LedgerEntry]:
        """Returns at most `page_size` entries, newest first.

        Raises:
            KassaError: MERCHANT_NOT_FOUND, PAGE_TOKEN_INVALID.
        """
        await self._require(merchant_id)

        def read(connection: Connection, before: UUID | None, size: int) -> list[LedgerEntry]:
            return list_entries(connection, merchant_id, wanted, before, size)

        scope = f"ledger_entries:{merchant_id}:{sorted(wanted.set_fields().items())}"
        return await self._pages.read(scope, page_size, page_token, read)

    async def trial_balance(self, merchant_id: UUID | None) -> tuple[Sums, ...]:
        """Returns the sums of a merchant's books, or of everybody's.

        Raises:
            KassaError: MERCHANT_NOT_FOUND.
        """
        if merchant_id is not None:
            await self._require(merchant_id)
        return tuple(await self._reads.run(read_trial_balance, merchant_id))

    async def _require(self, merchant_id: UUID) -> None:
        require_merchant(await self._reads.run(read_merchant, merchant_id))
