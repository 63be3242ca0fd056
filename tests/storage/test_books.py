"""The books in Postgres: append-only, in balance, traceable, each fee once; a moment's balances stay as they are."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.errors import KassaError, Reason
from server.domain.fee import Fee
from server.domain.ledger import capture_journal
from server.domain.outcome import Declined
from server.domain.payment import CaptureMethod, Payment, Transaction, TransactionType
from server.storage import ledger_reads
from server.storage.external_refunds import ExternalRefund
from server.storage.fees import BookFees, FeeDue, take_fees_due
from server.storage.ledger import Booking, write_journals
from server.storage.ledger_reads import final_until, read_balances, read_trial_balance
from server.storage.open_payments import Opened
from server.storage.reads import list_transactions
from tests.cluster import Database
from tests.factories import approved, make_payment, make_transaction
from tests.storage.conftest import Till

RETURNED = Declined(failure=Failure(DeclineCode.REFUND_FAILED, "Returned.", Advice.TRY_ANOTHER_METHOD))
FEE = Fee(61, "USD", "txn_1")
FEES = """
    SELECT account, amount, currency, processor_reference FROM ledger_entries
    WHERE merchant_id = :merchant AND kind = 'FEE' ORDER BY id
"""
DUE = "SELECT processor_payment_id, capture_id, attempts FROM fees_due WHERE merchant_id = :merchant"
REWRITES = (
    "UPDATE ledger_entries SET amount = 1",
    "DELETE FROM ledger_entries",
    "TRUNCATE ledger_entries",
)
EXPLAINED = """
    SELECT p.amount_captured, -COALESCE(sum(l.amount) FILTER (WHERE l.account = 'merchant_payable'), 0),
           p.amount_refunded, COALESCE(sum(l.amount) FILTER (WHERE l.account = 'refunds'), 0)
    FROM payments p LEFT JOIN ledger_entries l ON l.merchant_id = p.merchant_id AND l.payment_id = p.id
    WHERE p.merchant_id = :merchant GROUP BY p.merchant_id, p.id
"""


async def opened(till: Till, **changes: object) -> Opened:
    result = await till.open(make_payment(merchant_id=till.merchant, **changes))
    assert isinstance(result, Opened)
    return result


def fees_of(transaction: Transaction, *fees: Fee) -> BookFees:
    return BookFees(transaction.merchant_id, transaction.payment_id, transaction.id, fees)


@pytest.fixture
def writer(till: Till) -> Iterator[Connection]:
    """A transaction of the writer's that is undone."""
    with till.engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("statement", REWRITES)
@pytest.mark.parametrize(
    ("role", "why"),
    [("writer_url", "permission denied"), ("reader_url", "permission denied"), ("owner_url", "append-only")],
)
async def test_nobody_rewrites_the_past(till: Till, database: Database, role: str, why: str, statement: str) -> None:
    await till.charged()
    engine = create_engine(getattr(database, role))
    with engine.connect() as connection, pytest.raises(DBAPIError, match=why):
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("role", ["writer_url", "owner_url"])
async def test_nobody_books_a_journal_that_is_out_of_balance(till: Till, database: Database, role: str) -> None:
    await till.charged()
    one_sided = text("""
        INSERT INTO ledger_entries SELECT (jsonb_populate_record(l, jsonb_build_object('id', uuidv7(), 'journal_id',
            uuidv7()))).* FROM ledger_entries l WHERE l.merchant_id = :m AND l.amount > 0
    """)
    engine = create_engine(getattr(database, role))
    with engine.connect() as connection, pytest.raises(DBAPIError, match="does not sum to zero"):
        connection.execute(one_sided, {"m": till.merchant})
    engine.dispose()


async def test_a_journal_must_balance_in_each_of_its_currencies(till: Till, writer: Connection) -> None:
    payment = await till.charged()
    journal = capture_journal(500, "USD")
    debit, credit = journal.entries
    mixed = replace(journal, entries=(debit, replace(credit, currency="EUR")))
    with pytest.raises(DBAPIError, match="does not sum to zero"):
        write_journals(writer, [Booking(mixed, make_transaction(payment))])


async def test_the_books_explain_every_payment(till: Till) -> None:
    """A charge, a part captured, refunds that hold, fail, come back and were made elsewhere, and one given back."""
    await till.charged(1000)
    held = await opened(till, capture_method=CaptureMethod.MANUAL)
    authorized = await till.settle(held.transaction, approved(held.transaction, captured=False))
    capture = (await till.begin(authorized.payment, TransactionType.CAPTURE, 1500)).transaction
    taken = (await till.settle(capture, approved(capture))).payment
    for amount, findings in ((400, 1), (300, 2)):
        refund = (await till.begin(taken, TransactionType.REFUND, amount)).transaction
        for finding in (approved(refund), RETURNED)[:findings]:
            await till.settle(refund, finding)
    await till.store.book_refund(ExternalRefund(till.merchant, taken.id, f"re_{taken.id.hex}", 200, "USD"))
    failed = await opened(till)
    await till.settle(failed.transaction, RETURNED)
    await till.settle(failed.transaction, approved(failed.transaction))
    [back] = [
        one
        for one in await till.store.read(list_transactions, till.merchant, failed.payment.id, failed.transaction.id, 9)
        if one.type is TransactionType.REFUND
    ]
    await till.settle(back, approved(back))
    rows = till.query(EXPLAINED)
    assert sorted(rows) == [(0, 0, 0, 0), (1000, 1000, 0, 0), (1500, 1500, 600, 600)]
    sums = await till.store.read(read_trial_balance, till.merchant)
    assert [(one.currency, one.debits - one.credits) for one in sums] == [("USD", 0)]
    assert sums[0].debits == 1000 + 1500 + 400 + 2 * 300 + 200 + 2 * 1999


async def test_every_entry_names_its_payment_transaction_and_the_processors_object(till: Till) -> None:
    payment = await till.charged(1000)
    refund = (await till.begin(payment, TransactionType.REFUND, 400)).transaction
    await till.settle(refund, approved(refund, processor_transaction_id="re_1"))
    await till.settle(refund, RETURNED)
    traced = till.query(
        "SELECT DISTINCT kind, payment_id, transaction_id, processor_reference FROM ledger_entries "
        "WHERE merchant_id = :merchant ORDER BY kind"
    )
    [(first,)] = till.query("SELECT id FROM transactions WHERE merchant_id = :merchant AND type = 'AUTHORIZATION'")
    assert traced == [
        ("CAPTURE", payment.id, first, payment.processor_capture_id),
        ("REFUND", payment.id, refund.id, "re_1"),
        ("REFUND_FAILED", payment.id, refund.id, "re_1"),
    ]


async def test_a_fee_that_is_known_is_booked_as_the_capture_settles(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, approved(one.transaction, fee=Fee(55, "EUR", "txn_1")))
    assert till.query(FEES) == [("fees", 55, "EUR", "txn_1"), ("processor_receivable", -55, "EUR", "txn_1")]
    assert till.query(DUE) == []


async def test_a_fee_that_is_not_known_is_due_until_it_is_booked(till: Till) -> None:
    one = await opened(till)
    settled = await till.settle(one.transaction, approved(one.transaction))
    assert till.query(DUE) == [(settled.payment.processor_payment_id, settled.payment.processor_capture_id, 0)]
    await till.store.book_fees(fees_of(one.transaction, FEE))
    assert till.query(FEES) == [("fees", 61, "USD", "txn_1"), ("processor_receivable", -61, "USD", "txn_1")]
    assert till.query(DUE) == []


async def test_a_fee_is_booked_once_whoever_comes_with_it(till: Till) -> None:
    """The settlement, a webhook and the late job race; each brings the same balance transaction."""
    one = await opened(till)
    finding = approved(one.transaction, fee=FEE)
    settling = [till.settle(one.transaction, finding) for _ in range(3)]
    booking = [till.store.book_fees(fees_of(one.transaction, FEE, FEE)) for _ in range(10)]
    await asyncio.gather(*settling, *booking)
    assert len(till.query(FEES)) == 2


async def test_a_second_fee_of_the_same_payment_is_another_one(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, approved(one.transaction, fee=FEE))
    await till.store.book_fees(fees_of(one.transaction, FEE, Fee(1500, "USD", "txn_2"), Fee(0, "USD", "txn_3")))
    await till.store.book_fees(fees_of(one.transaction, Fee(-1500, "USD", "txn_4")))
    booked = till.query(FEES)
    assert [(row[1], row[3]) for row in booked if row[0] == "fees"] == [
        (61, "txn_1"),
        (1500, "txn_2"),
        (-1500, "txn_4"),
    ]


async def test_postgres_itself_refuses_to_book_a_fee_twice(till: Till, writer: Connection) -> None:
    one = await opened(till)
    await till.settle(one.transaction, approved(one.transaction, fee=FEE))
    copies = text("""
        INSERT INTO ledger_entries SELECT (jsonb_populate_record(l, jsonb_build_object('id', uuidv7()))).*
        FROM ledger_entries l WHERE l.merchant_id = :m AND l.kind = 'FEE'
    """)
    with pytest.raises(DBAPIError, match="ledger_entries_fees"):
        writer.execute(copies, {"m": till.merchant})


async def test_a_due_fee_is_taken_by_one_worker_and_put_off_for_longer_each_time(till: Till) -> None:
    await till.charged()
    pauses = []
    for _ in range(3):
        with till.engine.begin() as connection:
            connection.execute(
                text("UPDATE fees_due SET next_attempt_at = now() WHERE merchant_id = :m"), {"m": till.merchant}
            )
        with till.engine.begin() as first, till.engine.begin() as second:
            taken = [ours(till, take_fees_due(one, 1000)) for one in (first, second)]
            rest = text("SELECT next_attempt_at - now() FROM fees_due WHERE merchant_id = :m")
            pause = first.scalar(rest, {"m": till.merchant})
        assert [len(due) for due in taken] == [1, 0]
        assert isinstance(pause, timedelta)
        pauses.append(pause.total_seconds())
    assert 3 < pauses[0] <= 6 < pauses[1] <= 12 < pauses[2] <= 24


def ours(till: Till, due: list[FeeDue]) -> list[FeeDue]:
    return [one for one in due if one.merchant_id == till.merchant]


async def test_fees_of_a_payment_that_does_not_exist_are_refused(till: Till) -> None:
    stranger = make_transaction(make_payment(merchant_id=till.merchant))
    with pytest.raises(KassaError) as refusal:
        await till.store.book_fees(fees_of(stranger, FEE))
    assert refusal.value.reason is Reason.PAYMENT_NOT_FOUND


async def test_balances_of_a_moment_stay_as_they_are_though_older_transactions_end_later(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_reads, "_LAG_S", 0)  # else the lag alone would tell
    payment = await till.charged(1000)
    with till.engine.connect() as early:
        began = early.execute(text("SELECT now()")).scalar_one()
        with till.engine.connect() as looking:
            final = final_until(looking)
        assert final < began, "what began earlier may still add entries"
        before = await till.store.read(read_balances, till.merchant, final)
        write_journals(early, [Booking(capture_journal(700, "USD", "ch_2"), late(payment))])
        early.commit()
    assert await till.store.read(read_balances, till.merchant, final) == before
    at_last = await till.store.read(read_balances, till.merchant, began)
    assert [(one.account.value, one.amount) for one in at_last] == [
        ("merchant_payable", -1700),
        ("processor_receivable", 1700),
    ]


async def test_no_moment_is_final_before_a_second_has_passed(till: Till, writer: Connection) -> None:
    """A transaction's time is taken a little before others can see it."""
    final = final_until(writer)
    assert writer.execute(text("SELECT clock_timestamp()")).scalar_one() - final >= timedelta(seconds=1)


async def test_a_merchants_books_are_its_own(till: Till) -> None:
    await till.charged(1000)
    assert await till.store.read(read_balances, uuid4(), None) == []
    assert await till.store.read(read_trial_balance, uuid4()) == []
    everybody = await till.store.read(read_trial_balance, None)
    assert all(one.debits == one.credits for one in everybody)
    assert sum(one.debits for one in everybody) >= 1000


async def test_a_fee_without_a_reference_is_known_by_its_transactions_object(till: Till) -> None:
    one = await opened(till)
    settled = await till.settle(one.transaction, approved(one.transaction))
    for _ in range(2):
        await till.store.book_fees(fees_of(settled.transaction, Fee(9, "USD", "")))
    assert [row[3] for row in till.query(FEES)] == [settled.transaction.processor_transaction_id] * 2


def late(payment: Payment) -> Transaction:
    """A transaction that is only traced to."""
    return make_transaction(payment, processor_transaction_id="ch_2")
