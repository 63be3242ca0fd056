"""List entries: added, replaced and removed without losing what was, and seen by servers as soon as they change."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from server.domain.errors import KassaError, Reason
from server.domain.list_entry import EVERY_MERCHANT, ListEntry, NewListEntry
from server.storage.list_entries import ListEntryFilter, add_list_entry, lists_changed_at, read_list_entries
from server.storage.short_transactions import ShortTransactions
from server.usecases.list_entries import ListEntries
from server.usecases.newest_first import NewestFirst
from server.usecases.page_tokens import PageTokens
from tests.storage.conftest import Till


@pytest.fixture
def lists(till: Till) -> Iterator[ListEntries]:
    with ThreadPoolExecutor(1) as threads:
        pages = NewestFirst(till.store._reads, PageTokens(b"t" * 32))
        yield ListEntries(ShortTransactions(till.engine, threads), pages)


def entry(till: Till, value: str = "203.0.113.7", **changes: object) -> NewListEntry:
    new = NewListEntry(till.merchant, "blocked_ips", value, "Ada", "It tests cards.")
    return replace(new, **changes)  # type: ignore[arg-type]


async def shown(till: Till, lists: ListEntries, **wanted: object) -> list[ListEntry]:
    page = await lists.list(ListEntryFilter(till.merchant, **wanted), 100, "")  # type: ignore[arg-type]
    return list(page.items)


async def in_force(till: Till) -> list[str]:
    found = await till.store.read(read_list_entries)
    return sorted(one.value for one in found if one.merchant_id == till.merchant)


async def test_what_is_added_counts_until_it_is_removed_and_is_kept(till: Till, lists: ListEntries) -> None:
    added = await lists.add(entry(till))
    assert await in_force(till) == ["203.0.113.7"]
    assert await shown(till, lists) == [added]
    removed = await lists.remove(till.merchant, added.id, "Grace")
    assert (removed.removed_by, removed.removed_at is None) == ("Grace", False)
    assert await lists.remove(till.merchant, added.id, "Eve") == removed, "who removed it stays"
    assert (await in_force(till), await shown(till, lists)) == ([], [])
    assert await shown(till, lists, include_past=True) == [removed]


async def test_the_same_again_changes_nothing_and_new_words_replace_the_old(till: Till, lists: ListEntries) -> None:
    first = await lists.add(entry(till))
    assert await lists.add(entry(till)) == first
    second = await lists.add(entry(till, author="Grace", reason="Still at it."))
    assert [one.id for one in await shown(till, lists)] == [second.id]
    past = await shown(till, lists, include_past=True)
    assert [(one.id, one.removed_by) for one in past] == [(second.id, ""), (first.id, "Grace")]


async def test_an_entry_that_has_expired_counts_no_longer_and_may_be_added_anew(till: Till, lists: ListEntries) -> None:
    await lists.add(entry(till, expires_at=datetime.now(UTC) + timedelta(hours=1)))
    assert await in_force(till) == ["203.0.113.7"]
    with till.engine.begin() as connection:
        expired = "UPDATE fraud_list_entries SET expires_at = now() WHERE merchant_id = :merchant"
        connection.execute(text(expired), {"merchant": till.merchant})
    assert (await in_force(till), await shown(till, lists)) == ([], [])
    await lists.add(entry(till))
    assert await in_force(till) == ["203.0.113.7"]


async def test_filters_and_pages(till: Till, lists: ListEntries) -> None:
    one, two = await lists.add(entry(till, "a")), await lists.add(entry(till, "b", list_name="vips"))
    assert await shown(till, lists, list_name="vips") == [two]
    assert await shown(till, lists, value="a") == [one]
    page = await lists.list(ListEntryFilter(till.merchant), 1, "")
    rest = await lists.list(ListEntryFilter(till.merchant), 1, page.next_page_token)
    assert ([*page.items], [*rest.items], rest.next_page_token) == ([two], [one], "")


async def test_a_merchant_removes_its_own_alone_and_the_platform_any(till: Till, lists: ListEntries) -> None:
    own = await lists.add(entry(till))
    for_all = await lists.add(entry(till, f"ip-{till.merchant}", merchant_id=EVERY_MERCHANT))
    for owner, one in ((uuid4(), own), (till.merchant, for_all)):
        with pytest.raises(KassaError) as refusal:
            await lists.remove(owner, one.id, "Eve")
        assert refusal.value.reason is Reason.LIST_ENTRY_NOT_FOUND
    for one in (own, for_all):
        assert (await lists.remove(None, one.id, "Ada")).removed_by == "Ada"


async def test_the_time_of_change_rises_with_every_change_though_clocks_do_not(till: Till, lists: ListEntries) -> None:
    added = await lists.add(entry(till))
    with till.engine.begin() as connection:
        ahead = "UPDATE fraud_list_entries SET changed_at = clock_timestamp() + interval '1 minute' WHERE id = :id"
        connection.execute(text(ahead), {"id": added.id})
    seen = [await till.store.read(lists_changed_at)]
    await lists.remove(till.merchant, added.id, "Ada")
    seen.append(await till.store.read(lists_changed_at))
    await lists.add(entry(till, "another"))
    seen.append(await till.store.read(lists_changed_at))
    times = [one for one in seen if one is not None]
    assert len(times) == 3 and times == sorted(set(times))
    with till.engine.begin() as connection:  # or every later test would be a minute ahead
        back = "UPDATE fraud_list_entries SET changed_at = now() WHERE merchant_id = :merchant"
        connection.execute(text(back), {"merchant": till.merchant})


async def test_writers_come_one_after_the_other(till: Till) -> None:
    """Else a server could see the later change first, and never look for the earlier one."""
    with till.engine.connect() as first, till.engine.connect() as second:
        add_list_entry(first, entry(till, "a"))
        second.execute(text("SET lock_timeout = '100ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            add_list_entry(second, entry(till, "b"))
        second.rollback()
        first.rollback()
