"""A merchant's daily limit holds whoever writes, and a payment beyond it leaves nothing behind."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from server.domain.daily_limit import DailyLimit, daily_limit
from server.domain.errors import KassaError, Reason
from server.storage.claims import Replay
from server.storage.daily_limits import KEPT, forget_days
from server.storage.open_payments import Opened, OpenPayment
from tests.storage.conftest import Till


def limited(till: Till, most: int, key: str = "", *, day: int = 0) -> OpenPayment:
    limit = daily_limit(most, "UTC", datetime.now(UTC) + timedelta(days=day))
    return replace(till.opening(key=key), limit=limit)


def opened_today(till: Till) -> list[tuple[object, ...]]:
    return till.query("SELECT opened FROM daily_transactions WHERE merchant_id = :merchant ORDER BY day")


async def test_of_many_at_once_exactly_the_limit_is_opened(till: Till) -> None:
    others = Till(till.store, till.commit, till.engine)
    rows = [row for n in range(40) for row in (limited(till, 10), limited(others, 3 if n % 2 else 2))]
    results = await asyncio.gather(*(till.store.open_payment(row) for row in rows), return_exceptions=True)
    ours = results[::2]
    assert sum(isinstance(one, Opened) for one in ours) == 10
    assert {one.reason for one in ours if isinstance(one, KassaError)} == {Reason.DAILY_LIMIT_REACHED}
    assert sum(isinstance(one, Opened) for one in results[1::2]) <= 3
    assert opened_today(till) == [(10,)]
    assert till.query("SELECT count(*) FROM payments WHERE merchant_id = :merchant") == [(10,)]


async def test_a_refused_key_is_free_and_a_replay_does_not_count(till: Till) -> None:
    assert isinstance(await till.store.open_payment(limited(till, 1, "first")), Opened)
    with pytest.raises(KassaError) as caught:
        await till.store.open_payment(limited(till, 1, "second"))
    assert caught.value.reason is Reason.DAILY_LIMIT_REACHED
    assert till.query("SELECT key FROM idempotency_keys WHERE merchant_id = :merchant") == [("first",)]
    assert isinstance(await till.store.open_payment(limited(till, 1, "first")), Replay)
    assert isinstance(await till.store.open_payment(limited(till, 2, "second")), Opened)
    assert opened_today(till) == [(2,)]


async def test_the_next_day_is_counted_anew(till: Till) -> None:
    for day in (0, 1):
        assert isinstance(await till.store.open_payment(limited(till, 1, day=day)), Opened)
    assert opened_today(till) == [(1,), (1,)]


async def test_whoever_has_no_limit_is_not_counted(till: Till) -> None:
    await till.open()
    assert opened_today(till) == []


async def test_days_that_are_over_are_forgotten(till: Till) -> None:
    long_ago = datetime.now(UTC) - KEPT - timedelta(days=1)
    old = DailyLimit(long_ago.date(), 5, long_ago)
    await till.store.open_payment(replace(till.opening(), limit=old))
    await till.store.open_payment(limited(till, 5, str(uuid4())))
    with till.engine.begin() as connection:
        assert forget_days(connection) >= 1
    assert opened_today(till) == [(1,)]
