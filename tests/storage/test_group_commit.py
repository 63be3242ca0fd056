"""Group commit: shared transactions, and nobody who fails for a neighbour."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.domain.errors import KassaError, Reason
from server.storage import group_commit
from server.storage.engine import make_engine
from server.storage.group_commit import POSTPONED, GroupCommit, Postponed
from tests.cluster import Database
from tests.storage.conftest import Till
from tests.storage.gate import Gate, identify, queued


def divide(connection: Connection, rows: Sequence[int]) -> list[int]:
    """One statement for the batch, which a zero breaks as a data exception (class 22)."""
    query = text("SELECT 10 / n FROM unnest(CAST(:rows AS int[])) WITH ORDINALITY AS q(n, i) ORDER BY i")
    return list(connection.scalars(query, {"rows": list(rows)}))


async def test_rows_that_wait_share_the_next_transaction(till: Till) -> None:
    gate = Gate()
    busy = await gate.occupy(till.commit, 2)
    waiting = await queued(till.commit, identify, range(60), tenant="a")
    gate.open()
    xids = await asyncio.gather(*waiting)
    await asyncio.gather(*busy)
    assert len(set(xids)) <= 2


async def test_a_bad_row_fails_alone(till: Till) -> None:
    rows = [1, 2, 0, 5, 10]
    results = await asyncio.gather(
        *(till.commit.write(divide, n, aggregates=(i,), tenant=1) for i, n in enumerate(rows)), return_exceptions=True
    )
    assert [one for one in results if not isinstance(one, DBAPIError)] == [10, 5, 2, 1]
    assert isinstance(results[2], DBAPIError)


async def test_a_caller_who_leaves_changes_nothing_for_the_others(till: Till) -> None:
    tasks = [asyncio.ensure_future(till.open()) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, asyncio.CancelledError) for one in results) == 5
    await till.open()  # a later batch; both writers have settled what was in flight when it returns
    await till.commit.close()
    assert till.query("SELECT count(*) FROM payments WHERE merchant_id = :merchant") == [(11,)]


async def test_rows_of_one_aggregate_never_run_together(till: Till) -> None:
    together: list[int] = []

    def record(connection: Connection, rows: Sequence[object]) -> list[object]:
        together.append(len(rows))
        return list(rows)

    await asyncio.gather(*(till.commit.write(record, n, aggregates=("same",), tenant=1) for n in range(10)))
    assert together == [1] * 10


async def test_a_postponed_row_comes_again(till: Till) -> None:
    visits: list[object] = []

    def second_time(connection: Connection, rows: Sequence[object]) -> list[object | Postponed]:
        visits.extend(rows)
        return [row if visits.count(row) > 1 else POSTPONED for row in rows]

    assert await till.commit.write(second_time, "row", aggregates=("a",), tenant=1) == "row"
    assert visits == ["row", "row"]


@pytest.fixture
def order() -> list[object]:
    """What was written, in its order."""
    return []


async def test_settling_goes_before_and_is_never_refused(database: Database, order: list[object]) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, waiting=12)

    def note(connection: Connection, rows: Sequence[object]) -> list[object]:
        order.extend(rows)
        return list(rows)

    gate = Gate()
    busy = await gate.occupy(commit, 1)
    waiting = await queued(commit, note, ["a", "b", "c"], tenant=1)
    with pytest.raises(KassaError) as refusal:
        await commit.write(note, "too much", aggregates=("x",), tenant=1)
    assert refusal.value.reason is Reason.OVERLOADED
    others = await queued(commit, note, ["other merchant"], tenant=2)
    urgent = await queued(commit, note, ["urgent"], tenant=1, urgent=True)
    gate.open()
    await asyncio.gather(*busy, *waiting, *others, *urgent)
    assert order[0] == "urgent"
    assert sorted(map(str, order[1:])) == ["a", "b", "c", "other merchant"]
    await commit.close()
    engine.dispose()


async def test_a_queue_that_stands_refuses_new_rows_until_it_is_worked_off(database: Database) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, batch=1, longest_wait_s=0.05)
    first, second = Gate(), Gate()
    busy = await first.occupy(commit, 1)
    late = await queued(commit, second, ["late"], tenant=1)
    behind = await queued(commit, identify, ["behind"], tenant=1)
    assert not commit.is_overloaded()  # nobody is known to have waited yet
    await asyncio.sleep(0.1)
    first.open()
    await asyncio.to_thread(second.entered.acquire)
    assert commit.is_overloaded()
    with pytest.raises(KassaError) as refusal:
        await commit.write(identify, "new", aggregates=("new",), tenant=2)
    assert refusal.value.reason is Reason.OVERLOADED
    urgent = await queued(commit, identify, ["urgent"], tenant=2, urgent=True)
    second.open()
    await asyncio.gather(*busy, *late, *behind, *urgent)
    assert not commit.is_overloaded()
    await commit.write(identify, "after", aggregates=("after",), tenant=2)
    await commit.close()
    engine.dispose()


async def test_a_batch_that_empties_the_queue_leaves_no_overload_behind(database: Database) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, longest_wait_s=0.05)
    first, second = Gate(), Gate()
    busy = await first.occupy(commit, 1)
    late = await queued(commit, second, ["late"], tenant=1)
    await asyncio.sleep(0.1)
    first.open()
    await asyncio.to_thread(second.entered.acquire)
    next_ones = await queued(commit, identify, ["next", "and next"], tenant=1)
    assert not commit.is_overloaded()
    second.open()
    await asyncio.gather(*busy, *late, *next_ones)
    await commit.close()
    engine.dispose()


async def test_new_work_is_wanted_until_a_full_batch_waits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_STANDSTILL_S", 3600)
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, batch=3)
    assert commit.wanted() == 3
    gate = Gate()
    busy = await gate.occupy(commit, 1)
    rows = await queued(commit, identify, ["one", "two"], tenant=1)
    rows += await queued(commit, identify, ["urgent"], tenant=1, urgent=True)
    assert commit.wanted() == 1
    rows += await queued(commit, identify, ["three"], tenant=2)
    assert commit.wanted() == 0
    monkeypatch.setattr(group_commit, "_STANDSTILL_S", 0)
    assert commit.wanted() == 1  # it does not move, so waiting for it at the door helps nobody
    gate.open()
    await asyncio.gather(*busy, *rows)
    async with asyncio.timeout(10):
        while commit.wanted() < 3:  # until there is nothing to do
            await asyncio.sleep(0.01)
    await commit.room()
    await commit.close()
    engine.dispose()


async def test_whoever_waits_for_room_goes_on_as_a_batch_is_taken(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_STANDSTILL_S", 3600)
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, batch=2)
    first, second = Gate(), Gate()
    busy = await first.occupy(commit, 1)
    rows = await queued(commit, second, ["one", "two"], tenant=1)
    waiting = asyncio.ensure_future(commit.room())
    assert not (await asyncio.wait([waiting], timeout=0.1))[0]
    first.open()
    await asyncio.wait_for(waiting, 10)  # the batch is not written yet
    second.open()
    await asyncio.gather(*busy, *rows)
    await commit.close()
    engine.dispose()


async def test_many_rows_of_one_aggregate_are_no_overload(database: Database) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, longest_wait_s=0.005)

    def take_long(connection: Connection, rows: Sequence[object]) -> list[object]:
        time.sleep(0.01)
        return list(rows)

    hot = [asyncio.ensure_future(commit.write(take_long, n, aggregates=("hot",), tenant=1)) for n in range(50)]
    for one in hot:
        await one
        assert not commit.is_overloaded()
        assert commit.wanted()
    await commit.close()
    engine.dispose()


async def test_a_burst_that_is_worked_off_soon_is_no_overload(till: Till) -> None:
    gate = Gate()
    busy = await gate.occupy(till.commit, 2)
    rows = await queued(till.commit, identify, range(1_000), tenant=1)
    gate.open()
    assert len(await asyncio.gather(*rows)) == 1_000
    await asyncio.gather(*busy)


async def test_a_busy_merchant_does_not_hold_up_the_rest(database: Database, order: list[object]) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, batch=2)

    def note(connection: Connection, rows: Sequence[object]) -> list[object]:
        order.extend(rows)
        return list(rows)

    gate = Gate()
    busy = await gate.occupy(commit, 1)
    waiting = await queued(commit, note, range(20), tenant="busy")
    waiting += await queued(commit, note, ["quiet"], tenant="quiet")
    gate.open()
    await asyncio.gather(*busy, *waiting)
    assert order.index("quiet") < 4
    await commit.close()
    engine.dispose()


async def test_closing_writes_what_waits_and_refuses_what_comes(till: Till) -> None:
    tasks = [asyncio.ensure_future(till.open()) for _ in range(20)]
    await asyncio.sleep(0)
    await till.commit.close()
    await asyncio.gather(*tasks)
    assert till.query("SELECT count(*) FROM payments WHERE merchant_id = :merchant") == [(20,)]
    with pytest.raises(KassaError) as refusal:
        await till.open()
    assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
