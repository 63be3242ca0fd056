"""Group commit: shared transactions, and nobody who fails for a neighbour."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from psycopg2 import OperationalError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.domain.errors import KassaError, Reason
from server.domain.payment import TransactionType
from server.storage import transactions
from server.storage.driver import Found
from server.storage.engine import make_engine
from server.storage.group_commit import POSTPONED, GroupCommit, Postponed, Statement
from server.storage.open_payments import Opened
from tests.cluster import Database
from tests.factories import approved
from tests.storage.conftest import Till


def identify(connection: Connection, rows: Sequence[object]) -> list[object]:
    """Answers each row with its transaction."""
    xid = connection.scalar(text("SELECT pg_current_xact_id()::text"))
    return [xid] * len(rows)


def divide(connection: Connection, rows: Sequence[int]) -> list[int]:
    """One statement for the batch, which a zero breaks as a data exception (class 22)."""
    query = text("SELECT 10 / n FROM unnest(CAST(:rows AS int[])) WITH ORDINALITY AS q(n, i) ORDER BY i")
    return list(connection.scalars(query, {"rows": list(rows)}))


class Gate:
    """A statement that keeps a writer busy until the test lets it go."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Semaphore(0), threading.Event()

    def __call__(self, connection: Connection, rows: Sequence[object]) -> list[object]:
        self.entered.release()
        assert self._open.wait(10)
        return list(rows)

    async def occupy(self, commit: GroupCommit, writers: int) -> "list[asyncio.Future[object]]":
        """Gives each writer something to do, and returns when all are at it."""
        tasks = []
        for number in range(writers):
            row = f"gate {number}"
            tasks.append(asyncio.ensure_future(commit.write(self, row, aggregates=(row,), tenant="gate")))
            await asyncio.to_thread(self.entered.acquire)
        return tasks

    def open(self) -> None:
        """Lets everybody go."""
        self._open.set()


async def queued(commit: GroupCommit, statement: Statement[Any, Any], rows: Sequence[object], **how: Any) -> list[Any]:
    """Queues rows, one task each, and returns the tasks once all of them wait."""
    tasks = [asyncio.ensure_future(commit.write(statement, row, aggregates=(row,), **how)) for row in rows]
    await asyncio.sleep(0)  # each task runs as far as its future
    return tasks


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


async def test_new_work_is_wanted_until_a_full_batch_waits(database: Database) -> None:
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
    await asyncio.sleep(1.1)
    assert commit.wanted() == 1  # it does not move, so waiting for it at the door helps nobody
    gate.open()
    await asyncio.gather(*busy, *rows)
    async with asyncio.timeout(10):
        while commit.wanted() < 3:  # until there is nothing to do
            await asyncio.sleep(0.01)
    await commit.room()
    await commit.close()
    engine.dispose()


async def test_whoever_waits_for_room_goes_on_as_a_batch_is_taken(database: Database) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, batch=2)
    first, second = Gate(), Gate()
    busy = await first.occupy(commit, 1)
    rows = await queued(commit, second, ["one", "two"], tenant=1)
    waiting = asyncio.ensure_future(commit.room())
    assert not (await asyncio.wait([waiting], timeout=0.1))[0]
    first.open()
    await asyncio.wait_for(waiting, 0.5)  # the batch is not written yet
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
    rows = await queued(till.commit, identify, range(1_000), tenant=1)
    assert len(await asyncio.gather(*rows)) == 1_000


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


@pytest.mark.parametrize("committed", [True, False], ids=["it had committed", "it had not"])
async def test_a_commit_whose_answer_was_lost_is_asked_about(
    till: Till, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """The payment stands once either way: nothing is written twice, and nothing is lost."""
    lost = []
    send = transactions.send

    def lose_the_first_answer(connection: Connection, sql: str) -> Found:
        if sql != "COMMIT" or lost:
            return send(connection, sql)
        lost.append(connection)
        if committed:
            send(connection, sql)
        connection.invalidate()
        raise DBAPIError("COMMIT", None, OperationalError("server closed the connection"), connection_invalidated=True)

    monkeypatch.setattr(transactions, "send", lose_the_first_answer)
    opened = await till.open(key="order-1")
    assert isinstance(opened, Opened)
    assert lost
    assert till.query("SELECT count(*) FROM payments WHERE merchant_id = :merchant") == [(1,)]
    assert till.query("SELECT count(*) FROM transactions WHERE merchant_id = :merchant") == [(1,)]


async def test_a_killed_connection_is_replaced_and_the_batch_written_again(till: Till) -> None:
    killed: list[object] = []

    def die_once(connection: Connection, rows: Sequence[object]) -> list[object]:
        if not killed:
            killed.append(connection.scalar(text("SELECT pg_backend_pid()")))
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return list(rows)

    assert await till.commit.write(die_once, "row", aggregates=("a",), tenant=1) == "row"
    assert killed


async def test_ordinary_rows_give_up_on_a_database_that_is_away_and_urgent_ones_do_not(database: Database) -> None:
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, patience_s=0.05)
    back = threading.Event()

    def away_until_it_is_back(connection: Connection, rows: Sequence[object]) -> list[object]:
        if not back.is_set():
            raise DBAPIError("SELECT", None, OperationalError("connection refused"), connection_invalidated=True)
        return list(rows)

    with pytest.raises(KassaError) as refusal:
        await commit.write(away_until_it_is_back, "ordinary", aggregates=("a",), tenant=1)
    assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
    urgent = await queued(commit, away_until_it_is_back, ["urgent"], tenant=1, urgent=True)
    behind = await queued(commit, away_until_it_is_back, ["behind"], tenant=1)
    with pytest.raises(KassaError):  # it waits behind a batch that is being tried again and again
        await asyncio.wait_for(behind[0], 5)
    assert not urgent[0].done()
    back.set()
    assert await urgent[0] == "urgent"
    await commit.close()
    engine.dispose()


async def test_rows_that_are_locked_elsewhere_cost_the_others_nothing(till: Till) -> None:
    """Postponed rows that came back at once would keep both writers busy with nothing."""
    hot = [await till.charged(1000) for _ in range(2)]
    refunds = [await till.begin(payment, TransactionType.REFUND) for payment in hot]
    lock = text("SELECT 1 FROM payments WHERE merchant_id = :m FOR UPDATE")
    with till.engine.connect() as connection:
        connection.execute(lock, {"m": till.merchant})
        waiting = [asyncio.ensure_future(till.settle(one.transaction, approved(one.transaction))) for one in refunds]
        other = Till(till.store, till.commit, till.engine)
        before = time.monotonic()
        for _ in range(4):
            await other.open()
        assert time.monotonic() - before < 2
        assert not any(task.done() for task in waiting)
    results = await asyncio.gather(*waiting)
    assert all(one.changed for one in results)


@pytest.mark.parametrize("code", ["53100", "25006", "57014", "55P03"])
async def test_a_settlement_outlives_every_error_that_passes(till: Till, code: str) -> None:
    failures = iter([code, code])

    def fail_twice(connection: Connection, rows: Sequence[object]) -> list[object]:
        if failing := next(failures, None):
            connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'later' USING ERRCODE = '{failing}'; END $$"))
        return list(rows)

    row = await till.commit.write(fail_twice, "row", aggregates=("a",), tenant=1, urgent=True)
    assert row == "row"
