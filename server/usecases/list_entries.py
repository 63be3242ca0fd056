"""Lists that analysts change while servers run. Called by `rpc`."""

from uuid import UUID

from sqlalchemy import Connection

from server.domain.list_entry import ListEntry, NewListEntry
from server.storage.list_entries import ListEntryFilter, add_list_entry, list_list_entries, remove_list_entry
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.newest_first import NewestFirst


class ListEntries:
    """Adds, removes and lists entries. Nothing is deleted: what is removed stays, marked."""

    def __init__(self, transactions: ShortTransactions, pages: NewestFirst) -> None:
        self._transactions, self._pages = transactions, pages

    async def add(self, new: NewListEntry) -> ListEntry:
        """Puts a value on a list; an older entry of the same value gives way."""
        return await self._transactions.run(add_list_entry, new)

    async def remove(self, merchant_id: UUID | None, entry_id: UUID, removed_by: str) -> ListEntry:
        """Takes a value off its list; what was removed is returned as it was.

        Args:
            merchant_id: Whose entry it must be; None for the platform, which removes any.

        Raises:
            KassaError: LIST_ENTRY_NOT_FOUND, also for somebody else's.
        """
        return await self._transactions.run(remove_list_entry, merchant_id, entry_id, removed_by)

    async def list(self, wanted: ListEntryFilter, page_size: int, page_token: str) -> Page[ListEntry]:
        """Returns at most `page_size` entries, newest first.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """

        def read(connection: Connection, before: UUID | None, size: int) -> list[ListEntry]:
            return list_list_entries(connection, wanted, before, size)

        scope = f"list_entries:{sorted(wanted.set_fields().items())}:{wanted.include_past}"
        return await self._pages.read(scope, page_size, page_token, read)
