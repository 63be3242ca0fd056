"""The lists' entries that analysts add while servers run, as a snapshot in memory. Refreshed by `bootstrap_reviews`.

`screening.screen` hands `current` to the ruleset with each payment; the storage that it is read from is injected.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from fraud_rules import EMPTY, RuntimeLists
from fraud_rules import ListEntry as RuntimeEntry
from server.domain.ids import Prefix, render_id
from server.domain.list_entry import EVERY_MERCHANT, ListEntry

ChangedAt = Callable[[], Awaitable[datetime | None]]
"""`storage.list_entries.lists_changed_at`: None while nothing was ever added."""
ReadEntries = Callable[[], Awaitable[Sequence[ListEntry]]]
"""`storage.list_entries.read_list_entries`."""


class ListSnapshots:
    """Holds what stands on lists, and swaps it whole when it has changed.

    Attributes:
        current: What a payment is decided with; immutable, so it may be kept while another is swapped in.
    """

    def __init__(self, changed_at: ChangedAt, read: ReadEntries) -> None:
        self._changed_at, self._read = changed_at, read
        self._known: datetime | None = None
        self.current: RuntimeLists = EMPTY

    async def refresh(self) -> bool:
        """Takes up what has changed; says whether anything had. One small read where nothing has.

        Raises:
            KassaError: SERVICE_UNAVAILABLE; what stands already goes on to count.
        """
        changed = await self._changed_at()
        if changed == self._known:
            return False
        self.current = RuntimeLists([_entry(one) for one in await self._read()])
        self._known = changed  # entries that were added since are seen now, and once more by the next look
        return True


def _entry(entry: ListEntry) -> RuntimeEntry:
    for_all = entry.merchant_id == EVERY_MERCHANT
    merchant = "" if for_all else render_id(Prefix.MERCHANT, entry.merchant_id)
    return RuntimeEntry(entry.list_name, merchant, entry.value, entry.expires_at)
