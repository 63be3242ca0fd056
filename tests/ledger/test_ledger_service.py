"""LedgerService over a real database: whose books are shown, of which moment, and that they are in balance."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kassa.v1 import ledger_service_pb2 as pb

from server.domain.fee import Fee
from server.domain.ids import Prefix, render_id
from server.domain.payment import Payment, TransactionType
from server.storage.fees import BookFees
from server.storage.ledger_reads import final_until
from tests.factories import approved
from tests.ledger.conftest import PLATFORM_KEY, Books
from tests.rpc.conftest import refused

METHODS = ("GetBalances", "ListLedgerEntries", "GetTrialBalance")


async def traded(books: Books) -> Payment:
    """19.99 USD taken, 5.00 returned, and a fee of 0.55 EUR."""
    payment = await books.till.charged()
    refund = (await books.till.begin(payment, TransactionType.REFUND, 500)).transaction
    done = await books.till.settle(refund, approved(refund, processor_transaction_id="re_1"))
    fee = Fee(55, "EUR", "txn_1")
    await books.till.store.book_fees(BookFees(payment.merchant_id, payment.id, refund.id, (fee,)))
    return done.payment


def shown(balances: Any) -> dict[tuple[str, str], int]:
    return {(pb.LedgerEntry.Account.Name(one.account), one.currency): one.amount for one in balances.balances}


def timestamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


async def test_balances_show_each_account_in_each_currency(books: Books) -> None:
    await traded(books)
    answer = await books.call("GetBalances")
    assert shown(answer) == {
        ("FEES", "EUR"): 55,
        ("PROCESSOR_RECEIVABLE", "EUR"): -55,
        ("MERCHANT_PAYABLE", "USD"): -1999,
        ("PROCESSOR_RECEIVABLE", "USD"): 1499,
        ("REFUNDS", "USD"): 500,
    }
    assert answer.merchant_id == books.merchant_id
    assert not answer.HasField("at"), "all that is booked"


async def test_balances_of_a_moment_that_is_final_are_of_that_very_moment(books: Books) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    await traded(books)
    answer = await books.call("GetBalances", at=timestamp(before))
    assert (shown(answer), answer.at) == ({}, timestamp(before))


async def test_balances_of_a_moment_to_come_tell_of_which_moment_they_are(books: Books) -> None:
    await traded(books)
    with books.till.engine.connect() as connection:
        final = final_until(connection)
    ahead = datetime.now(UTC) + timedelta(days=1)
    at = (await books.call("GetBalances", at=timestamp(ahead))).at.ToDatetime(UTC)
    assert final <= at < datetime.now(UTC)


async def test_entries_come_newest_first_by_page_and_can_be_traced(books: Books) -> None:
    payment = await traded(books)
    first = await books.call("ListLedgerEntries", page_size=4)
    rest = await books.call("ListLedgerEntries", page_size=4, page_token=first.next_page_token)
    entries = [*first.entries, *rest.entries]
    assert (len(first.entries), len(rest.entries), rest.next_page_token) == (4, 2, "")
    kind, account = pb.LedgerEntry.Kind.Name, pb.LedgerEntry.Account.Name
    assert [(kind(one.kind), account(one.account), one.amount, one.currency) for one in entries] == [
        ("FEE", "PROCESSOR_RECEIVABLE", -55, "EUR"),
        ("FEE", "FEES", 55, "EUR"),
        ("REFUND", "PROCESSOR_RECEIVABLE", -500, "USD"),
        ("REFUND", "REFUNDS", 500, "USD"),
        ("CAPTURE", "MERCHANT_PAYABLE", -1999, "USD"),
        ("CAPTURE", "PROCESSOR_RECEIVABLE", 1999, "USD"),
    ]
    assert [one.processor_reference for one in entries[::2]] == ["txn_1", "re_1", payment.processor_capture_id]
    assert {one.payment_id for one in entries} == {render_id(Prefix.PAYMENT, payment.id)}
    assert entries[0].journal_id == entries[1].journal_id != entries[2].journal_id
    assert {one.transaction_id[:4] + one.id[:4] + one.journal_id[:4] for one in entries} == {"txn_ent_jrn_"}
    assert {one.merchant_id for one in entries} == {books.merchant_id}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"account": pb.LedgerEntry.FEES}, 1),
        ({"currency": "EUR"}, 2),
        ({"currency": "USD", "account": pb.LedgerEntry.PROCESSOR_RECEIVABLE}, 2),
        ({"currency": "JPY"}, 0),
        ({"payment_id": render_id(Prefix.PAYMENT, UUID(int=7 << 76 | 1 << 63))}, 0),
        ({"created_after": timestamp(datetime(2020, 1, 1, tzinfo=UTC))}, 6),
        ({"created_before": timestamp(datetime(2020, 1, 1, tzinfo=UTC))}, 0),
    ],
)
async def test_entries_can_be_narrowed(books: Books, wanted: dict[str, Any], count: int) -> None:
    await traded(books)
    assert len((await books.call("ListLedgerEntries", **wanted)).entries) == count


async def test_entries_of_one_payment_are_found(books: Books) -> None:
    payment = await traded(books)
    await books.till.charged()
    wanted = render_id(Prefix.PAYMENT, payment.id)
    assert len((await books.call("ListLedgerEntries", payment_id=wanted)).entries) == 6


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"currency": "usd"}, "currency"),
        ({"account": 99}, "account"),
        ({"payment_id": "txn_1"}, "payment_id"),
        ({"merchant_id": "shop"}, "merchant_id"),
        ({"page_size": -1}, "page_size"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(books: Books, wanted: dict[str, Any], field: str) -> None:
    seen = await refused(books.call("ListLedgerEntries", **wanted))
    assert (seen.reason, seen.field) == ("INVALID_FIELD", field)


async def test_the_trial_balance_is_zero_in_every_currency(books: Books) -> None:
    await traded(books)
    lines = (await books.call("GetTrialBalance")).lines
    assert [(one.currency, one.debits, one.credits, one.total) for one in lines] == [
        ("EUR", 55, 55, 0),
        ("USD", 2499, 2499, 0),
    ]


@pytest.mark.parametrize("method", METHODS)
async def test_the_platform_reads_the_books_of_a_merchant_that_it_names(books: Books, method: str) -> None:
    await traded(books)
    named = await books.call(method, PLATFORM_KEY, merchant_id=books.merchant_id)
    assert named == await books.call(method)


async def test_the_platform_sums_up_the_books_of_all(books: Books) -> None:
    await traded(books)
    lines = {one.currency: one for one in (await books.call("GetTrialBalance", PLATFORM_KEY)).lines}
    assert all(one.total == 0 for one in lines.values())
    assert lines["USD"].debits >= 2499


@pytest.mark.parametrize("method", METHODS[:2])
async def test_the_platform_must_name_whose_balances_and_entries_it_wants(books: Books, method: str) -> None:
    seen = await refused(books.call(method, PLATFORM_KEY))
    assert (seen.reason, seen.field) == ("INVALID_FIELD", "merchant_id")


@pytest.mark.parametrize("method", METHODS)
async def test_a_merchant_finds_its_own_books_and_nobody_elses(books: Books, stranger: UUID, method: str) -> None:
    await traded(books)
    other = await refused(books.call(method, str(stranger), merchant_id=books.merchant_id))
    assert other.reason == "MERCHANT_NOT_FOUND"
    named = await books.call(method, merchant_id=books.merchant_id)
    assert named == await books.call(method)


@pytest.mark.parametrize("method", METHODS)
async def test_a_merchant_that_does_not_exist_is_not_found(books: Books, stranger: UUID, method: str) -> None:
    seen = await refused(books.call(method, PLATFORM_KEY, merchant_id=render_id(Prefix.MERCHANT, stranger)))
    assert seen.reason == "MERCHANT_NOT_FOUND"
