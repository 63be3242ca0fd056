"""The connection breaks while COMMIT is answered: whatever became of it, a row is written once and told the truth."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from server.domain.errors import KassaError, Reason
from server.domain.outcome import ActionRequired, Rejected
from server.domain.payment import CaptureMethod, Payment, State, TransactionState, TransactionType
from server.storage import transactions
from server.storage.answers import read_answer
from server.storage.claims import Replay
from server.storage.driver import Found
from server.storage.engine import make_engine
from server.storage.group_commit import GroupCommit
from server.storage.open_operations import OperationOpened
from server.storage.open_payments import Opened
from server.storage.settle import Settle
from tests.cluster import Database
from tests.factories import approved, make_payment
from tests.storage.conftest import ALLOWED, Till
from tests.storage.gate import broken

Lose = Callable[[int], list[str]]
either_way = pytest.mark.parametrize("committed", [True, False], ids=["it had committed", "it had not"])


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch, committed: bool) -> Lose:
    """Loses the answers to the next COMMITs; returns a list that grows with each."""
    send: Callable[..., Found] = vars(transactions)["send"]

    def lose(times: int) -> list[str]:
        lost: list[str] = []

        def lose_answers(connection: Connection, sql: str) -> Found:
            if sql != "COMMIT" or len(lost) == times:
                return send(connection, sql)
            lost.append(sql)
            if committed:
                send(connection, sql)
            connection.invalidate()
            raise broken()

        monkeypatch.setattr(transactions, "send", lose_answers)
        return lost

    return lose


@either_way
@pytest.mark.parametrize("times", [1, 3])
async def test_a_payment_is_opened_once_and_sent(till: Till, lose: Lose, times: int) -> None:
    row = till.opening(key="order-1")
    lost = lose(times)
    opened = await till.store.open_payment(row)
    assert isinstance(opened, Opened)
    assert len(lost) == times
    assert (opened.payment.id, opened.payment.state) == (row.payment.id, State.PROCESSING)
    assert opened.payment.fraud is not None
    assert opened.payment.fraud.outcome is ALLOWED.outcome
    assert (opened.transaction.id, opened.transaction.idempotency_keys) == (row.transaction.id, ("order-1",))
    for table in ("payments", "transactions", "fraud_decisions", "idempotency_keys"):
        assert till.query(f"SELECT count(*) FROM {table} WHERE merchant_id = :merchant") == [(1,)]


@either_way
async def test_a_repeat_of_the_call_is_not_taken_for_its_first(till: Till, lose: Lose) -> None:
    lose(1)
    first, second = await asyncio.gather(till.open(key="order-1"), till.open(key="order-1"))
    assert {type(first), type(second)} == {Opened, Replay}


@either_way
async def test_a_payment_that_was_blocked_stays_so(till: Till, lose: Lose) -> None:
    payment = make_payment(merchant_id=till.merchant)
    row = till.opening(payment)
    blocked = replace(payment, state=State.FAILED)
    lost = lose(1)
    found = await till.store.open_payment(replace(row, screen=lambda counted: (blocked, ALLOWED)))
    assert lost
    told = read_answer(found.answer or {}) if isinstance(found, Replay) else found.payment
    assert isinstance(told, Payment)
    assert (told.id, told.state) == (payment.id, State.FAILED)
    assert till.query("SELECT count(*) FROM events WHERE merchant_id = :merchant") == [(1,)]


@pytest.mark.parametrize("committed", [True])
async def test_a_lease_that_is_over_is_nobodys(till: Till, lose: Lose) -> None:
    """Recovery may have it already, so whoever finds its own row says that it is under way and sends nothing."""
    lose(1)
    assert isinstance(await till.open(lease_s=0.0), Replay)


@either_way
async def test_a_refund_is_opened_once(till: Till, lose: Lose) -> None:
    payment = await till.charged(1000)
    row = till.operation(payment, TransactionType.REFUND, 400)
    lost = lose(1)
    opened = await till.store.open_operation(row)
    assert lost
    assert isinstance(opened, OperationOpened)
    assert (opened.transaction.id, opened.payment.amount_refunding) == (row.transaction_id, 400)
    assert till.query("SELECT amount_refunding FROM payments WHERE merchant_id = :merchant") == [(400,)]


@either_way
async def test_an_operation_of_our_own_is_opened_once(till: Till, lose: Lose) -> None:
    """It has no key that would tell."""
    payment = await till.charged(1000)
    row = replace(till.operation(payment, TransactionType.REFUND, 400), claim=None)
    lose(1)
    opened = await till.store.open_operation(row)
    assert isinstance(opened, OperationOpened)
    assert till.query("SELECT amount_refunding FROM payments WHERE merchant_id = :merchant") == [(400,)]


@either_way
async def test_a_transaction_is_taken_up_once(till: Till, lose: Lose) -> None:
    opened = await till.open(lease_s=0.0)
    assert isinstance(opened, Opened)
    lose(1)
    taken = await till.store.take_up(till.take_up_row(opened.transaction))
    assert isinstance(taken, OperationOpened)
    assert taken.transaction.attempts == 1
    assert till.query("SELECT attempts FROM transactions WHERE merchant_id = :merchant") == [(1,)]


@either_way
async def test_money_is_booked_once(till: Till, lose: Lose) -> None:
    opened = await till.open()
    assert isinstance(opened, Opened)
    lost = lose(1)
    settled = await till.settle(opened.transaction, approved(opened.transaction))
    assert lost
    assert settled.payment.state is State.COMPLETED
    assert settled.transaction.state is TransactionState.COMPLETED
    assert till.query("SELECT count(DISTINCT journal_id) FROM ledger_entries WHERE merchant_id = :merchant") == [(1,)]
    assert till.query("SELECT count(*) FROM events WHERE merchant_id = :merchant") == [(1,)]


@either_way
async def test_nobody_is_told_that_nothing_was_done_while_that_is_unknown(
    database: Database, lose: Lose, committed: bool
) -> None:
    """The database goes away amid COMMIT, for longer than ordinary rows have patience."""
    engine = make_engine(database.writer_url, 2, alone=True)
    commit = GroupCommit(engine, writers=1, patience_s=0.05)
    lost, back = lose(1), threading.Event()

    def away_until_it_is_back(connection: Connection, rows: Sequence[object]) -> list[object]:
        if lost and not back.is_set():
            raise broken()
        return list(rows)

    waiting = asyncio.ensure_future(commit.write(away_until_it_is_back, "row", aggregates=("a",), tenant=1))
    assert not (await asyncio.wait([waiting], timeout=0.5))[0]
    back.set()
    assert await asyncio.wait_for(waiting, 10) == "row"
    await commit.close()
    engine.dispose()


async def test_a_void_of_our_own_whose_lease_is_over_is_left_to_recovery(till: Till) -> None:
    """Written, its answer lost for longer than the lease, sent by recovery and refused: it must not be opened anew."""
    payment = make_payment(merchant_id=till.merchant, capture_method=CaptureMethod.MANUAL)
    opened = await till.open(payment)
    assert isinstance(opened, Opened)
    held = await till.settle(opened.transaction, approved(opened.transaction, captured=False))
    row = replace(till.operation(held.payment, TransactionType.VOID), claim=None)
    void = await till.store.open_operation(row)
    assert isinstance(void, OperationOpened)
    await till.settle(void.transaction, Rejected("cannot_void"))
    with pytest.raises(KassaError) as told:
        await till.store.open_operation(row)
    assert told.value.reason is Reason.OPERATION_IN_PROGRESS


async def test_what_ends_nothing_gives_way_to_whoever_took_it_up_since(till: Till) -> None:
    """Written again after its answer was lost, it must not end another lease; money is booked all the same."""
    opened = await till.open(lease_s=0.0)
    assert isinstance(opened, Opened)
    taken = await till.store.take_up(till.take_up_row(opened.transaction))
    assert isinstance(taken, OperationOpened)
    first = opened.transaction
    ids = (first.merchant_id, first.payment_id, first.id)
    waits = ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example")
    late = await till.store.settle(Settle(*ids, waits, attempts=first.attempts))
    assert (late.changed, late.transaction.waiting) == (False, False)
    with pytest.raises(KassaError) as told:
        await till.store.take_up(till.take_up_row(first))
    assert told.value.reason is Reason.OPERATION_IN_PROGRESS
    assert (await till.store.settle(Settle(*ids, approved(first), attempts=first.attempts))).changed
