"""Group commit when the database, a row or a writer fails: who waits, who is told, and what is never written."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from psycopg2 import OperationalError
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError

from sandbox.local.ports import free_port
from server.domain.errors import KassaError, Reason
from server.domain.payment import TransactionType
from server.storage.engine import make_engine
from server.storage.group_commit import GroupCommit
from server.storage.waiting_row import WaitingRow
from tests.cluster import Database
from tests.factories import approved
from tests.storage.conftest import Till
from tests.storage.gate import Gate, identify, queued


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
        await asyncio.wait_for(behind[0], 30)
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
        assert time.monotonic() - before < 6  # each would wait two seconds for the lock
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


async def test_a_row_that_fails_again_and_again_is_soon_written_alone(database: Database) -> None:
    """Its error is not its data's, so it waits on; but its neighbours no longer fail with it."""
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1)
    failed: list[list[object]] = []
    passed = threading.Event()

    def fail_on_bad(connection: Connection, rows: Sequence[object]) -> list[object]:
        time.sleep(0.002)  # so that others come meanwhile
        if "bad" in rows and not passed.is_set():
            failed.append(list(rows))
            connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'a page is broken' USING ERRCODE = 'XX001'; END $$"))
        return list(rows)

    async def neighbour(name: int) -> None:
        while len(failed) < 8:
            await commit.write(fail_on_bad, name, aggregates=(name,), tenant=1, urgent=True)

    [bad] = await queued(commit, fail_on_bad, ["bad"], tenant=1, urgent=True)
    async with asyncio.timeout(30):
        await asyncio.gather(*(neighbour(number) for number in range(8)))
    assert failed[3:] == [["bad"]] * len(failed[3:])
    assert not bad.done()
    passed.set()
    assert await asyncio.wait_for(bad, 20) == "bad"
    await commit.close()
    engine.dispose()


async def test_what_nobody_waits_for_any_more_is_not_written(database: Database) -> None:
    """A writer that stood still, in a COMMIT without an answer, must not do minutes later what was asked then."""
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1)
    written: list[object] = []

    def note(connection: Connection, rows: Sequence[object]) -> list[object]:
        written.extend(rows)
        return list(rows)

    gate = Gate()
    busy = await gate.occupy(commit, 1)
    commit._abandoned_s = 0.2
    [ordinary] = await queued(commit, note, ["ordinary"], tenant=1)
    [urgent] = await queued(commit, note, ["urgent"], tenant=1, urgent=True)
    await asyncio.sleep(0.3)
    gate.open()
    with pytest.raises(KassaError) as refusal:
        await ordinary
    assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
    assert await urgent == "urgent"
    assert written == ["urgent"]
    await asyncio.gather(*busy)
    await commit.close()
    engine.dispose()


async def test_nothing_waits_for_writers_that_have_ended(till: Till) -> None:
    await till.commit.close()
    for urgent in (False, True):
        with pytest.raises(KassaError) as refusal:
            await asyncio.wait_for(till.commit.write(identify, 1, aggregates=(1,), tenant=1, urgent=urgent), 5)
        assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE


async def test_a_connection_that_cannot_be_made_makes_no_row_suspect(database: Database) -> None:
    """Else all that waited for a database that was away would be written one by one when it is back."""
    engine = make_engine(make_url(database.writer_url).set(port=free_port()).render_as_string(False), 1, alone=True)
    row = WaitingRow("statement", "row", (), asyncio.get_running_loop().create_future(), 1, urgent=True)
    with pytest.raises(DBAPIError) as error:
        engine.connect()
    row.has_failed(error.value)
    assert row.failed == 0
    engine.dispose()
