"""Deadlines: taken by one worker at a time, kept while their payment waits, dropped once it has moved."""

from datetime import timedelta

from sqlalchemy import text

from server.domain.expiry import Lifetimes
from server.domain.payment import Payment, State, TransactionType
from server.storage.deadlines import Deadline, forget_deadline, take_deadlines, write_deadlines
from server.storage.open_payments import Opened
from server.storage.settle import Settle
from tests.factories import approved, make_payment
from tests.storage.conftest import Till

NO_TIME = Lifetimes(timedelta(), timedelta())


async def held(till: Till, lifetimes: Lifetimes = NO_TIME) -> Payment:
    one = await till.open(make_payment(merchant_id=till.merchant))
    assert isinstance(one, Opened)
    finding = approved(one.transaction, captured=False)
    row = Settle(till.merchant, one.payment.id, one.transaction.id, finding, lifetimes=lifetimes)
    return (await till.store.settle(row)).payment


def take(till: Till) -> list[Deadline]:
    with till.engine.begin() as connection:
        return [one for one in take_deadlines(connection, 1000) if one.merchant_id == till.merchant]


def forget(till: Till, payment: Payment) -> None:
    with till.engine.begin() as connection:
        forget_deadline(connection, payment.merchant_id, payment.id)


def kept(till: Till) -> list[tuple[object, ...]]:
    return till.query("SELECT payment_id, attempts FROM payment_deadlines WHERE merchant_id = :merchant")


async def test_what_is_taken_is_due_again_only_after_a_pause(till: Till) -> None:
    payment = await held(till)
    assert take(till) == [Deadline(till.merchant, payment.id, till.opened_at(payment))]
    assert take(till) == []
    assert kept(till) == [(payment.id, 1)]
    pause = "SELECT next_attempt_at - now() < interval '31 s' FROM payment_deadlines WHERE merchant_id = :merchant"
    assert till.query(pause) == [(True,)]


async def test_what_is_not_over_is_not_taken(till: Till) -> None:
    await held(till, Lifetimes(timedelta(), timedelta(hours=1)))
    assert take(till) == []


async def test_what_another_worker_takes_is_passed_over(till: Till) -> None:
    await held(till)
    with till.engine.connect() as other:
        assert len([one for one in take_deadlines(other, 1000) if one.merchant_id == till.merchant]) == 1
        assert take(till) == []


async def test_a_deadline_stays_while_its_payment_waits_and_goes_when_it_has_moved(till: Till) -> None:
    payment = await held(till)
    forget(till, payment)
    assert kept(till) == [(payment.id, 0)]
    void = (await till.begin(payment, TransactionType.VOID)).transaction
    assert (await till.settle(void, approved(void))).payment.state is State.CANCELLED
    forget(till, payment)
    assert kept(till) == []


async def test_a_deadline_stays_while_somebody_settles_its_payment(till: Till) -> None:
    payment = await till.charged()
    with till.engine.begin() as connection:
        write_deadlines(connection, [Deadline(till.merchant, payment.id, payment.created_at)])
    with till.engine.connect() as other:
        other.execute(text("SELECT 1 FROM payments WHERE id = :id FOR NO KEY UPDATE"), {"id": payment.id})
        forget(till, payment)
    assert kept(till) == [(payment.id, 0)]


async def test_the_same_deadline_keeps_its_attempts_and_another_begins_anew(till: Till) -> None:
    payment = await held(till)
    take(till)
    for moved, attempts in ((timedelta(), 1), (timedelta(hours=1), 0)):
        with till.engine.begin() as connection:
            write_deadlines(connection, [Deadline(till.merchant, payment.id, till.opened_at(payment) + moved)])
        assert kept(till) == [(payment.id, attempts)]
