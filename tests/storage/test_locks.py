"""Two processes on one database: neither deadlocks with the other, and a hot row stalls nobody."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from server.domain.errors import KassaError, Reason
from server.domain.payment import TransactionType
from server.storage.claims import Claim, Replay, claim_keys
from server.storage.engine import Reads, make_engine
from server.storage.group_commit import GroupCommit
from server.storage.locking import lock_payments
from server.storage.open_operations import OperationOpened
from server.storage.open_payments import Opened
from server.storage.payments import PaymentStore
from server.usecases.processor_requests import follow_up_request
from tests.cluster import Database
from tests.factories import approved, make_payment
from tests.storage.conftest import Till


@pytest.fixture
async def other(till: Till, database: Database) -> AsyncIterator[Till]:
    """The same merchant's store in another process, as far as Postgres can tell."""
    engine, alone = make_engine(database.writer_url, 2), make_engine(database.writer_url, 3, alone=True)
    commit, reads = GroupCommit(alone), Reads(engine, 1)
    yield Till(PaymentStore(commit, reads), commit, engine, till.merchant)
    await commit.close()
    reads.close()
    alone.dispose()
    engine.dispose()


async def test_batches_that_claim_the_same_keys_in_opposite_order_do_not_deadlock(till: Till) -> None:
    """Given k2, k1, a batch must wait for k1 before it holds k2, or one that holds k1 and wants k2 deadlocks."""

    def claim(connection: Connection, *keys: str) -> int:
        claims = [Claim(till.merchant, key, uuid4(), b"request", uuid4(), uuid4()) for key in keys]
        return len(claim_keys(connection, claims))

    def claim_both(pids: "asyncio.Queue[int]", loop: asyncio.AbstractEventLoop) -> int:
        with till.engine.connect() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))  # a deadlock is seen after one
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            loop.call_soon_threadsafe(pids.put_nowait, pid)
            lost = claim(connection, "k2", "k1")
            connection.commit()
            return lost

    pids: asyncio.Queue[int] = asyncio.Queue()
    with till.engine.connect() as first:
        assert claim(first, "k1") == 0
        second = asyncio.ensure_future(asyncio.to_thread(claim_both, pids, asyncio.get_running_loop()))
        pid = await pids.get()
        waits = "SELECT count(*) FROM pg_locks WHERE pid = :pid AND NOT granted"
        while till.query(waits, pid=pid) != [(1,)] and not second.done():
            await asyncio.sleep(0.01)
        assert claim(first, "k2") == 0
        first.commit()
    assert await second == 2


async def test_settlements_of_the_same_payments_from_two_processes_all_end(till: Till, other: Till) -> None:
    payments = [await till.charged(1000) for _ in range(20)]
    refunds = [await till.begin(payment, TransactionType.REFUND, 400) for payment in payments]
    jobs = [store.settle(one.transaction, approved(one.transaction)) for one in refunds for store in (till, other)]
    results = await asyncio.wait_for(asyncio.gather(*jobs), 20)
    assert sum(one.changed for one in results) == 20
    assert all(one.payment.amount_refunded == 400 for one in results)


async def test_a_row_locked_elsewhere_stalls_only_itself(till: Till) -> None:
    hot, cold = await till.charged(1000), await till.charged(1000)
    with till.engine.connect() as connection:
        lock = text("SELECT 1 FROM payments WHERE merchant_id = :m AND id = :id FOR UPDATE")
        connection.execute(lock, {"m": hot.merchant_id, "id": hot.id})
        waiting = asyncio.ensure_future(till.begin(hot, TransactionType.REFUND))
        assert isinstance(await asyncio.wait_for(till.begin(cold, TransactionType.REFUND), 5), OperationOpened)
        assert not waiting.done()
    assert isinstance(await asyncio.wait_for(waiting, 5), OperationOpened)


async def test_a_payment_locked_elsewhere_is_skipped_and_not_waited_for(till: Till) -> None:
    """A batch that waited for one row while it holds others would stall them, or deadlock with their next batch."""
    hot, cold = await till.charged(1000), await till.charged(1000)
    keys = [(payment.merchant_id, payment.id) for payment in (hot, cold)]
    with till.engine.connect() as holder, till.engine.connect() as batch:
        assert set(lock_payments(holder, keys[:1])) == set(keys[:1])
        batch.execute(text("SET LOCAL lock_timeout = '1s'"))
        assert set(lock_payments(batch, keys)) == set(keys[1:])


async def test_payments_are_locked_in_the_order_of_their_keys(till: Till) -> None:
    """Whatever order their batch has; so that two batches could not deadlock even if they waited for each other."""
    keys = [(till.merchant, (await till.charged(id=uuid4())).id) for _ in range(12)]
    with till.engine.connect() as connection:
        assert list(lock_payments(connection, keys)) == sorted(keys)


async def test_refunds_from_two_processes_never_exceed_what_was_captured(till: Till, other: Till) -> None:
    payment = await till.charged(1000)
    rows = [
        (store, store.operation(payment, TransactionType.REFUND, 300)) for _ in range(10) for store in (till, other)
    ]
    results = await asyncio.gather(*(s.store.open_operation(row) for s, row in rows), return_exceptions=True)
    assert sum(isinstance(one, OperationOpened) for one in results) == 3


async def test_a_process_that_freezes_in_mid_batch_holds_up_the_others_for_seconds_at_most(
    till: Till, other: Till
) -> None:
    """It holds claims that it does not commit; both writers run into them, and settling must go on all the same."""
    payment = await till.charged(1000)
    refund = await till.begin(payment, TransactionType.REFUND)
    waits = """
        SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND locktype = 'transactionid' AND datname = current_database()"""
    blocked = []
    with other.engine.connect() as frozen:
        claims = [Claim(till.merchant, key, uuid4(), b"request", uuid4(), uuid4()) for key in ("k1", "k2")]
        claim_keys(frozen, claims)
        for number, key in enumerate(("k1", "k2"), start=1):
            blocked.append(asyncio.ensure_future(till.open(key=key)))
            while other.query(waits) != [(number,)] and not any(task.done() for task in blocked):
                await asyncio.sleep(0.01)
        settled = await asyncio.wait_for(till.settle(refund.transaction, approved(refund.transaction)), 8)
        assert settled.changed
        frozen.rollback()
    # Whoever waited too long was refused with nothing done; the same call may be made again.
    for outcome in await asyncio.wait_for(asyncio.gather(*blocked, return_exceptions=True), 10):
        refused = isinstance(outcome, KassaError) and outcome.reason is Reason.SERVICE_UNAVAILABLE
        assert refused or isinstance(outcome, Opened)
    for key in ("k1", "k2"):
        assert isinstance(await till.open(key=key), Opened | Replay)


async def test_the_age_of_a_processors_key_is_counted_on_the_databases_clock(till: Till) -> None:
    """A server whose clock is wrong by hours opens a payment; whoever takes it up sees how old it really is."""
    wrong = datetime.now(UTC) + timedelta(hours=30)
    opened = await till.open(make_payment(merchant_id=till.merchant, created_at=wrong), lease_s=0.0)
    assert isinstance(opened, Opened)
    taken = await till.store.take_up(till.take_up_row(opened.transaction))
    assert isinstance(taken, OperationOpened)
    age = follow_up_request(taken.payment, taken.transaction).key_age
    assert age is not None and timedelta() <= age < timedelta(minutes=1)
