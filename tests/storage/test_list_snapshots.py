"""A server's snapshot of the lists: it obeys what was added, forgets what was removed, and reads only what changed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

from fraud_rules import VOCABULARY
from server.domain.ids import Prefix, render_id
from server.domain.list_entry import EVERY_MERCHANT, ListEntry
from server.screening.runtime_lists import ListSnapshots
from server.storage.list_entries import add_list_entry, lists_changed_at, read_list_entries, remove_list_entry
from tests.storage.conftest import Till
from tests.storage.test_list_entries import entry

OTHER = UUID(int=7)


class Reader:
    """Reads the store, and counts how often the entries were read."""

    def __init__(self, till: Till) -> None:
        self._till, self.reads = till, 0

    async def changed_at(self) -> datetime | None:
        return await self._till.store.read(lists_changed_at)

    async def entries(self) -> list[ListEntry]:
        self.reads += 1
        return await self._till.store.read(read_list_entries)


def blocks(lists: ListSnapshots, value: str, merchant: UUID, at: datetime | None = None) -> bool:
    named = render_id(Prefix.MERCHANT, merchant)
    return lists.current.contains("blocked_ips", VOCABULARY["ip"], value, named, at or datetime.now(UTC))


async def test_what_is_added_counts_at_the_next_look_and_what_is_removed_no_longer(till: Till) -> None:
    reader = Reader(till)
    lists = ListSnapshots(reader.changed_at, reader.entries)
    assert not blocks(lists, "203.0.113.7", till.merchant)
    with till.engine.begin() as connection:
        added = add_list_entry(connection, entry(till, "203.0.113.0/24"))
    before = lists.current
    assert await lists.refresh()
    assert lists.current is not before
    assert blocks(lists, "203.0.113.7", till.merchant)
    assert not blocks(lists, "203.0.113.7", OTHER), "it is one merchant's own"
    with till.engine.begin() as connection:
        remove_list_entry(connection, till.merchant, added.id, "Ada")
    assert await lists.refresh()
    assert not blocks(lists, "203.0.113.7", till.merchant)


async def test_nothing_is_read_while_nothing_changes(till: Till) -> None:
    with till.engine.begin() as connection:
        add_list_entry(connection, entry(till))
    reader = Reader(till)
    lists = ListSnapshots(reader.changed_at, reader.entries)
    assert [await lists.refresh() for _ in range(3)] == [True, False, False]
    assert reader.reads == 1


async def test_an_entry_for_all_concerns_every_merchant_and_expires_by_itself(till: Till) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    value = str(ip_address(f"2001:db8::{till.merchant.hex[:4]}"))
    with till.engine.begin() as connection:
        add_list_entry(connection, replace(entry(till, value), merchant_id=EVERY_MERCHANT, expires_at=soon))
    reader = Reader(till)
    lists = ListSnapshots(reader.changed_at, reader.entries)
    await lists.refresh()
    assert blocks(lists, value, OTHER)
    assert not blocks(lists, value, OTHER, soon)
