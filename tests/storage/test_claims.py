"""Idempotency keys: one winner, the same answer for every repeat, a refusal for another request."""

import asyncio

import pytest
from sqlalchemy import text

from server.domain.errors import KassaError, Reason
from server.domain.outcome import Cancelled, NotSent
from server.domain.payment import CaptureMethod, Payment, State, TransactionType
from server.storage.answers import read_answer
from server.storage.claims import Replay
from server.storage.open_operations import OperationOpened
from server.storage.open_payments import Opened, open_payments
from server.storage.reads import get_claim
from server.storage.recovery import expire_keys
from tests.factories import approved, make_payment
from tests.storage.conftest import Till


async def test_equal_keys_at_once_make_one_payment(till: Till) -> None:
    results = await asyncio.gather(*(till.open(key="order-1") for _ in range(20)))
    opened = [one for one in results if isinstance(one, Opened)]
    assert len(opened) == 1
    assert all(one.payment_id == opened[0].payment.id for one in results if isinstance(one, Replay))
    assert till.query("SELECT count(*) FROM payments WHERE merchant_id = :merchant") == [(1,)]


async def test_two_servers_with_one_key_make_one_payment(till: Till) -> None:
    """The second batch comes on another connection, so only Postgres can tell the winner."""
    rows = [till.opening(key="order-1") for _ in range(2)]
    # Different aggregates let both writer threads claim at the same time, as two processes would.
    write = till.commit.write
    results = await asyncio.gather(
        *(write(open_payments, row, aggregates=(number,), tenant=number) for number, row in enumerate(rows))
    )
    assert sorted(type(one).__name__ for one in results) == ["Opened", "Replay"]


async def test_another_request_under_the_same_key_is_refused(till: Till) -> None:
    await till.open(key="order-1")
    with pytest.raises(KassaError) as refusal:
        await till.open(key="order-1", request=b"another")
    assert refusal.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert till.query("SELECT count(*) FROM payments WHERE merchant_id = :merchant") == [(1,)]


async def test_keys_belong_to_their_merchant(till: Till) -> None:
    first = await till.open(key="order-1")
    other = Till(till.store, till.commit, till.engine)
    second = await other.open(key="order-1")
    assert isinstance(first, Opened) and isinstance(second, Opened)


async def test_the_answer_is_stored_with_the_settlement(till: Till) -> None:
    payment = await till.charged(key="order-1")
    repeat = await till.open(key="order-1")
    assert isinstance(repeat, Replay) and repeat.answer is not None
    answer = read_answer(repeat.answer)
    assert isinstance(answer, Payment)
    assert (answer.id, answer.state, answer.amount_captured) == (payment.id, State.COMPLETED, 1999)
    assert answer == payment


async def test_an_answer_never_changes(till: Till) -> None:
    payment = await till.charged(key="order-1")
    refund = await till.begin(payment, TransactionType.REFUND)
    await till.settle(refund.transaction, approved(refund.transaction))
    repeat = await till.open(key="order-1")
    assert isinstance(repeat, Replay) and repeat.answer is not None
    answer = read_answer(repeat.answer)
    assert isinstance(answer, Payment) and answer.state is State.COMPLETED


async def test_a_key_is_free_again_when_nothing_was_sent(till: Till) -> None:
    opened = await till.open(key="order-1")
    assert isinstance(opened, Opened)
    await till.settle(opened.transaction, NotSent())
    assert await till.store.read(get_claim, till.merchant, "order-1") is None
    assert isinstance(await till.open(key="order-1"), Opened)


async def test_a_refusal_is_the_answer_of_its_key(till: Till) -> None:
    payment = await till.charged()
    row = till.operation(payment, TransactionType.REFUND, 5000, key="refund-1")
    with pytest.raises(KassaError) as refusal:
        await till.store.open_operation(row)
    assert refusal.value.reason is Reason.REFUND_EXCEEDS_CAPTURED
    again = await till.store.open_operation(till.operation(payment, TransactionType.REFUND, 5000, key="refund-1"))
    assert isinstance(again, Replay) and again.answer is not None
    with pytest.raises(KassaError) as replayed:
        read_answer(again.answer)
    assert replayed.value.snapshot() == refusal.value.snapshot()


async def test_an_operation_in_progress_leaves_the_second_key_free(till: Till) -> None:
    opened = await till.open()
    assert isinstance(opened, Opened)
    held = await till.settle(opened.transaction, approved(opened.transaction, captured=False))
    capture = await till.begin(held.payment, TransactionType.CAPTURE)
    with pytest.raises(KassaError) as refusal:
        await till.store.open_operation(till.operation(held.payment, TransactionType.VOID, key="void-1"))
    assert refusal.value.reason is Reason.OPERATION_IN_PROGRESS
    await till.settle(capture.transaction, NotSent())
    row = till.operation(held.payment, TransactionType.VOID, key="void-1")
    assert isinstance(await till.store.open_operation(row), OperationOpened)


async def test_a_key_lives_a_day_from_its_answer_on_and_for_ever_without_one(till: Till) -> None:
    """The customer may take three days; the answer must outlive the merchant's repeat all the same."""
    await till.charged(key="answered")
    await till.open(key="open")
    long_ago = text("UPDATE idempotency_keys SET created_at = now() - interval '9 days' WHERE merchant_id = :m")
    answered = text(
        "UPDATE idempotency_keys SET answered_at = now() - interval '25 hours' WHERE merchant_id = :m AND key = :k"
    )
    with till.engine.begin() as connection:
        connection.execute(long_ago, {"m": till.merchant})
        expire_keys(connection, 24 * 3600, 10_000)
    assert isinstance(await till.open(key="answered"), Replay)
    with till.engine.begin() as connection:
        connection.execute(answered, {"m": till.merchant, "k": "answered"})
        expire_keys(connection, 24 * 3600, 10_000)
    assert isinstance(await till.open(key="answered"), Opened)
    assert isinstance(await till.open(key="open"), Replay)


async def test_a_key_that_was_forgotten_is_not_answered_for_its_first_call(till: Till) -> None:
    """A week later it stands for another payment, and the first one is called off at the processor."""
    first = await till.open(make_payment(merchant_id=till.merchant, capture_method=CaptureMethod.MANUAL), "order-1")
    assert isinstance(first, Opened)
    await till.settle(first.transaction, approved(first.transaction, captured=False))
    with till.engine.begin() as connection:
        connection.execute(text("DELETE FROM idempotency_keys WHERE merchant_id = :m"), {"m": till.merchant})
    second = await till.open(key="order-1")
    assert isinstance(second, Opened)
    called_off = await till.settle(first.transaction, Cancelled(processor_payment_id="pi_1"))
    assert called_off.payment.state is State.CANCELLED
    claim = await till.store.read(get_claim, till.merchant, "order-1")
    assert claim is not None
    assert claim.answer is None
    await till.settle(second.transaction, approved(second.transaction))
    repeat = await till.open(key="order-1")
    assert isinstance(repeat, Replay) and repeat.answer is not None
    answer = read_answer(repeat.answer)
    assert isinstance(answer, Payment) and (answer.id, answer.state) == (second.payment.id, State.COMPLETED)
