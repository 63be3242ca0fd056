"""Counters are right whoever writes at once, and nobody waits for another's; folding waits for nobody either."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from server.domain.ids import new_id
from server.domain.velocity import Counted, Traces, Velocity
from server.storage.open_payments import open_payments
from server.storage.velocity_counters import fold
from tests.factories import make_payment
from tests.storage.conftest import Till

BIN = Traces(card_bin="42424242")
COUNTED = "SELECT sum(payments) FROM velocity_counters WHERE merchant_id = :merchant AND dimension = 'bin'"
SLOTS = "SELECT DISTINCT slot FROM velocity_counters WHERE merchant_id = :merchant ORDER BY slot"


@pytest.fixture
def writers(till: Till) -> Iterator[list[Connection]]:
    """Two transactions that are open at the same time."""
    with ExitStack() as stack:
        yield [stack.enter_context(till.engine.connect()) for _ in range(2)]


def test_two_writers_of_one_key_do_not_wait_for_each_other(till: Till, writers: list[Connection]) -> None:
    for _ in range(3):
        for writer in writers:  # a wait would end with an error after two seconds
            open_payments(writer, [till.opening(traces=BIN), till.opening(traces=BIN)])
    for writer in writers:
        writer.commit()
    assert till.query(COUNTED) == [(12,)]
    assert len(till.query(SLOTS)) == 2


async def test_a_payment_is_counted_once_though_its_row_changes_often(till: Till) -> None:
    await till.charged()
    ((payments, approvals, declines),) = till.query(
        "SELECT sum(payments), sum(approvals), sum(declines) FROM velocity_counters "
        "WHERE merchant_id = :merchant AND dimension = 'merchant'"
    )
    assert (payments, approvals, declines) == (1, 1, 0)


def test_what_is_rolled_back_was_never_counted(till: Till, writers: list[Connection]) -> None:
    open_payments(writers[0], [till.opening(traces=BIN)])
    writers[0].rollback()
    assert till.query(COUNTED) == [(None,)]


def test_folding_leaves_what_is_being_written_for_later(till: Till, writers: list[Connection]) -> None:
    writer, folder = writers
    long_ago = datetime.now(UTC) - timedelta(days=2)
    old = [make_payment(merchant_id=till.merchant, created_at=long_ago, id=new_id()) for _ in range(2)]
    open_payments(writer, [till.opening(old[0], traces=BIN)])
    writer.commit()
    open_payments(writer, [till.opening(old[1], traces=BIN)])
    fold(folder, 100_000)
    folder.commit()
    writer.commit()
    narrow = "SELECT count(*) FROM velocity_counters WHERE merchant_id = :merchant AND width_s = 10"
    assert till.query(COUNTED) == [(2,)]
    assert till.query(narrow) != [(0,)]
    with till.engine.begin() as connection:
        fold(connection, 100_000)
    assert till.query(COUNTED) == [(2,)]
    assert till.query(narrow) == [(0,)]


@pytest.mark.parametrize(("age", "counts"), [(50, 1), (58, 1), (75, 0)])
def test_an_old_bucket_reaches_at_most_its_own_width_too_far_back(till: Till, age: int, counts: int) -> None:
    """A bucket of an hour counts while its end lies within the window, here one of 58 hours."""
    now = datetime.now(UTC)
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=age)
    asked = Velocity("of_hours", "count", "payments", "merchant", 58 * 3_600)
    seen: list[Counted] = []
    with till.engine.connect() as connection:
        open_payments(connection, [till.opening(make_payment(merchant_id=till.merchant, created_at=begin))])
        fold(connection, 100_000)
        row = till.opening(make_payment(merchant_id=till.merchant, created_at=now), velocity=(asked,), seen=seen)
        open_payments(connection, [row])
        connection.rollback()
    assert seen == [{"of_hours": counts}]
