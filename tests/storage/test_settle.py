"""Settling: only the first finding counts, books balance, and what a processor says is never lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.errors import KassaError, Reason
from server.domain.outcome import ActionRequired, Cancelled, Declined, NotSent, Unknown
from server.domain.payment import CaptureMethod, State, TransactionState, TransactionType
from server.storage.claims import Claim, Replay
from server.storage.external_refunds import ExternalRefund
from server.storage.open_operations import OperationOpened, Over
from server.storage.open_payments import Opened
from tests.factories import approved, make_payment
from tests.storage.conftest import Till

DECLINED = Declined(failure=Failure(DeclineCode.CARD_DECLINED, "Declined.", Advice.TRY_ANOTHER_METHOD))
LEDGER = "SELECT kind, account, amount FROM ledger_entries WHERE merchant_id = :merchant ORDER BY id"


async def opened(till: Till, **changes: object) -> Opened:
    result = await till.open(make_payment(merchant_id=till.merchant, **changes))
    assert isinstance(result, Opened)
    return result


async def test_a_charge_is_booked_once_however_often_it_is_told(till: Till) -> None:
    one = await opened(till)
    results = await asyncio.gather(*(till.settle(one.transaction, approved(one.transaction)) for _ in range(10)))
    assert sum(result.changed for result in results) == 1
    assert all(result.payment.state is State.COMPLETED for result in results)
    assert till.query(LEDGER) == [("CAPTURE", "processor_receivable", 1999), ("CAPTURE", "merchant_payable", -1999)]
    assert till.query("SELECT type, sequence FROM events WHERE merchant_id = :merchant") == [
        ("payment.completed", None)
    ]


async def test_one_partial_refund_is_booked_once(till: Till) -> None:
    """Guarded by the payment's state alone it would be booked twice: COMPLETED stays COMPLETED."""
    payment = await till.charged()
    refund = (await till.begin(payment, TransactionType.REFUND, 500)).transaction
    results = await asyncio.gather(*(till.settle(refund, approved(refund)) for _ in range(5)))
    assert {(r.payment.amount_refunded, r.payment.amount_refunding) for r in results} == {(500, 0)}
    assert len(till.query(LEDGER)) == 4


async def test_concurrent_refunds_never_exceed_what_was_captured(till: Till) -> None:
    payment = await till.charged(1000)
    rows = [till.operation(payment, TransactionType.REFUND, 300) for _ in range(50)]
    results = await asyncio.gather(*(till.store.open_operation(row) for row in rows), return_exceptions=True)
    won = [one for one in results if isinstance(one, OperationOpened)]
    refused = [one for one in results if isinstance(one, KassaError)]
    assert len(won) == 3
    assert {one.reason for one in refused} == {Reason.REFUND_EXCEEDS_CAPTURED}
    assert len(won) + len(refused) == 50


async def test_postgres_itself_refuses_to_refund_more_than_was_captured(till: Till) -> None:
    payment = await till.charged(1000)
    with till.engine.connect() as connection, pytest.raises(DBAPIError, match="refunds_within_captured"):
        connection.execute(
            text("UPDATE payments SET amount_refunding = 1001 WHERE merchant_id = :m AND id = :id"),
            {"m": payment.merchant_id, "id": payment.id},
        )


async def test_a_refused_approval_of_a_failed_payment_is_given_back_and_shown(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, DECLINED)
    late = await till.settle(one.transaction, approved(one.transaction))
    assert (late.changed, late.payment.state) == (False, State.FAILED)
    again = await till.settle(one.transaction, approved(one.transaction))
    assert not again.changed
    assert till.query("SELECT kind FROM attention_items WHERE merchant_id = :merchant") == [("CONTRADICTION",)]
    made = till.query(
        "SELECT type, state, detail->>'compensates' FROM transactions WHERE merchant_id = :merchant AND type = 'REFUND'"
    )
    assert made == [("REFUND", "PENDING", str(one.transaction.id))]


async def test_another_amount_is_shown_and_settles_nothing(till: Till) -> None:
    one = await opened(till)
    result = await till.settle(one.transaction, approved(one.transaction, amount=1))
    assert (result.payment.state, result.transaction.state) == (State.PROCESSING, TransactionState.UNKNOWN)
    assert till.query("SELECT kind FROM attention_items WHERE merchant_id = :merchant") == [("AMOUNT_MISMATCH",)]
    assert till.query(LEDGER) == []


async def test_a_lost_answer_keeps_the_slot(till: Till) -> None:
    one = await opened(till, capture_method=CaptureMethod.MANUAL)
    held = await till.settle(one.transaction, approved(one.transaction, captured=False))
    capture = await till.begin(held.payment, TransactionType.CAPTURE)
    await till.settle(capture.transaction, Unknown())
    with pytest.raises(KassaError) as refusal:
        await till.begin(held.payment, TransactionType.VOID)
    assert refusal.value.reason is Reason.OPERATION_IN_PROGRESS


async def test_the_slot_is_a_constraint_of_postgres(till: Till) -> None:
    one = await opened(till)
    copy = text("""
        INSERT INTO transactions SELECT (jsonb_populate_record(t, '{"id": "00000000-0000-0000-0000-000000000001",
                                                                    "type": "VOID"}')).*
        FROM transactions t WHERE t.merchant_id = :m AND t.id = :id
    """)
    with till.engine.connect() as connection, pytest.raises(DBAPIError, match="transactions_slot"):
        connection.execute(copy, {"m": till.merchant, "id": one.transaction.id})


async def test_a_waiting_payment_can_be_called_off_and_its_key_answered(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example"))
    void = await till.begin(one.payment, TransactionType.VOID)
    done = await till.settle(void.transaction, approved(void.transaction))
    assert done.payment.state is State.CANCELLED
    states = "SELECT type, state FROM transactions WHERE merchant_id = :merchant ORDER BY id"
    assert till.query(states) == [("AUTHORIZATION", "CANCELLED"), ("VOID", "COMPLETED")]
    assert till.query("SELECT count(*) FROM idempotency_keys WHERE merchant_id = :merchant AND answer IS NULL") == [
        (0,)
    ]


async def test_a_confirmation_holds_the_slot_against_a_void(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example"))
    assert isinstance(await till.store.take_up(till.take_up_row(one.transaction)), OperationOpened)
    with pytest.raises(KassaError) as refusal:
        await till.begin(one.payment, TransactionType.VOID)
    assert refusal.value.reason is Reason.OPERATION_IN_PROGRESS


async def test_a_payment_that_is_confirmed_without_end_stays_small(till: Till) -> None:
    """Each confirmation of a waiting payment is another key to answer; beyond some it is told how things stand."""
    one = await opened(till)
    await till.settle(one.transaction, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example"))
    many = text("""
        UPDATE transactions SET idempotency_keys = (SELECT jsonb_agg('key-' || n) FROM generate_series(1, 200) AS n)
        WHERE merchant_id = :merchant
    """)
    with till.engine.begin() as connection:
        connection.execute(many, {"merchant": till.merchant})
    claim = Claim(till.merchant, "one-more", uuid4(), b"confirm", one.payment.id, one.transaction.id)
    told = await till.store.take_up(till.take_up_row(one.transaction, claim))
    assert isinstance(told, Over)
    assert told.payment.state is State.PENDING
    again = await till.store.take_up(till.take_up_row(one.transaction, replace(claim, attempt_id=uuid4())))
    assert isinstance(again, Replay)
    assert again.answer is not None
    assert till.query(
        "SELECT jsonb_array_length(idempotency_keys) FROM transactions WHERE merchant_id = :merchant"
    ) == [(200,)]
    recovering = await till.store.take_up(till.take_up_row(one.transaction))
    assert isinstance(recovering, OperationOpened)


async def test_a_leased_transaction_is_taken_up_by_nobody_else(till: Till) -> None:
    one = await opened(till)
    with pytest.raises(KassaError) as refusal:
        await till.store.take_up(till.take_up_row(one.transaction))
    assert refusal.value.reason is Reason.OPERATION_IN_PROGRESS


async def test_a_transaction_whose_lease_has_ended_is_taken_up_once(till: Till) -> None:
    late = await till.open(lease_s=0)
    assert isinstance(late, Opened)
    rows = [till.take_up_row(late.transaction) for _ in range(5)]
    results = await asyncio.gather(*(till.store.take_up(row) for row in rows), return_exceptions=True)
    assert sum(isinstance(one, OperationOpened) for one in results) == 1


async def test_the_reservation_of_a_refund_that_was_not_sent_is_released(till: Till) -> None:
    payment = await till.charged(1000)
    refund = await till.begin(payment, TransactionType.REFUND)
    assert refund.payment.amount_refunding == 1000
    assert (await till.settle(refund.transaction, NotSent())).payment.amount_refunding == 0


async def test_a_dashboard_refund_is_booked_once_and_shown(till: Till) -> None:
    payment = await till.charged(1000)
    row = ExternalRefund(payment.merchant_id, payment.id, f"re_{payment.id.hex}", 400, "USD")
    assert await till.store.book_refund(row)
    assert not await till.store.book_refund(row)
    assert till.query("SELECT amount_refunded, beyond_limit FROM payments WHERE merchant_id = :merchant") == [
        (400, False)
    ]
    assert len(till.query(LEDGER)) == 4


async def test_a_dashboard_refund_beyond_our_limit_is_a_fact_all_the_same(till: Till) -> None:
    payment = await till.charged(1000)
    await till.begin(payment, TransactionType.REFUND, 800)
    await till.store.book_refund(ExternalRefund(payment.merchant_id, payment.id, f"re_{payment.id.hex}", 400, "USD"))
    assert till.query("SELECT amount_refunded, beyond_limit FROM payments WHERE merchant_id = :merchant") == [
        (400, True)
    ]


async def test_a_refund_that_had_failed_here_and_was_done_there_is_a_fact(till: Till) -> None:
    payment = await till.charged(1000)
    refund = (await till.begin(payment, TransactionType.REFUND, 400)).transaction
    await till.settle(refund, DECLINED)
    late = await till.settle(refund, approved(refund))
    assert (late.payment.amount_refunded, late.transaction.state) == (400, TransactionState.COMPLETED)
    assert till.query("SELECT kind FROM attention_items WHERE merchant_id = :merchant") == [("MADE_ELSEWHERE",)]
    assert len(till.query(LEDGER)) == 4


async def test_a_dashboard_refund_of_a_payment_that_failed_here_is_booked_and_leaves_its_state(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, DECLINED)
    row = ExternalRefund(till.merchant, one.payment.id, f"re_{one.payment.id.hex}", 1999, "USD")
    assert await till.store.book_refund(row)
    assert till.query("SELECT state, amount_refunded, beyond_limit FROM payments WHERE merchant_id = :merchant") == [
        ("FAILED", 1999, True)
    ]


async def test_a_capture_made_at_the_processor_is_booked(till: Till) -> None:
    one = await opened(till, capture_method=CaptureMethod.MANUAL)
    await till.settle(one.transaction, approved(one.transaction, captured=False))
    told = await till.settle(one.transaction, approved(one.transaction))
    assert (told.payment.state, told.payment.amount_captured) == (State.COMPLETED, 1999)
    assert len(till.query(LEDGER)) == 2
    assert not (await till.settle(one.transaction, approved(one.transaction))).changed


async def test_a_void_made_at_the_processor_ends_the_payment(till: Till) -> None:
    one = await opened(till, capture_method=CaptureMethod.MANUAL)
    await till.settle(one.transaction, approved(one.transaction, captured=False))
    told = await till.settle(one.transaction, Cancelled(processor_payment_id="pi_1"))
    assert told.payment.state is State.CANCELLED


async def test_our_own_capture_under_way_is_not_taken_for_somebody_elses(till: Till) -> None:
    one = await opened(till, capture_method=CaptureMethod.MANUAL)
    held = await till.settle(one.transaction, approved(one.transaction, captured=False))
    capture = await till.begin(held.payment, TransactionType.CAPTURE)
    assert not (await till.settle(one.transaction, approved(one.transaction))).changed
    done = await till.settle(capture.transaction, approved(capture.transaction))
    assert (done.changed, done.payment.amount_captured) == (True, 1999)
    assert len(till.query(LEDGER)) == 2


async def test_people_are_told_of_what_stays_unknown_and_only_once(till: Till) -> None:
    one = await opened(till)
    till.make_older(one.transaction, timedelta(hours=2))
    for _ in range(3):
        await till.settle(one.transaction, Unknown())
    assert till.query("SELECT kind FROM attention_items WHERE merchant_id = :merchant") == [("UNRESOLVED",)]


async def test_a_lost_answer_that_comes_late_does_not_undo_what_is_known(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example"))
    assert not (await till.settle(one.transaction, Unknown())).changed
