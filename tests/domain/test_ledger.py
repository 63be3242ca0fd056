"""Journals sum to zero, and the balance of each account explains one number."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.fee import Fee
from server.domain.ledger import (
    Journal,
    LedgerAccount,
    capture_journal,
    capture_reversed_journal,
    dispute_journals,
    fee_journal,
    fee_journals,
    refund_failed_journal,
    refund_journal,
)
from server.domain.outcome import Approved, Cancelled, Declined
from server.domain.payment import CaptureMethod, State, TransactionState, TransactionType
from server.domain.settlement import Settlement, compensation, settle
from tests.factories import approved, make_payment, make_transaction

DECLINED = Declined(failure=Failure(DeclineCode.REFUND_FAILED, "Returned.", Advice.TRY_ANOTHER_METHOD))
FEE = Fee(61, "USD", "txn_1")
Balances = dict[tuple[str, str], int]


def balances(journals: Iterable[Journal]) -> Balances:
    """Sums up by account and currency, and leaves out what is zero."""
    sums: Balances = defaultdict(int)
    for journal in journals:
        for entry in journal.entries:
            sums[entry.account.value, entry.currency] += entry.amount
    return {key: amount for key, amount in sums.items() if amount}


def settled(settlement: Settlement | None) -> Settlement:
    assert settlement is not None
    return settlement


@pytest.mark.parametrize(
    ("journals", "account", "amount"),
    [
        ([capture_journal(1999, "USD")], "merchant_payable", -1999),
        ([capture_reversed_journal(1999, "USD")], "merchant_payable", 1999),
        ([refund_journal(500, "USD")], "refunds", 500),
        ([refund_failed_journal(500, "USD")], "refunds", -500),
        ([fee_journal(Fee(61, "USD", "txn_1"))], "fees", 61),
        ([fee_journal(Fee(-61, "USD", "txn_1"))], "fees", -61),
        (dispute_journals(0, 0, 1999, 0, "USD"), "disputes", 1999),
        (dispute_journals(1999, 0, 0, 0, "USD"), "disputes", -1999),
        (dispute_journals(0, 0, 0, 1999, "USD"), "reserve", 1999),
        (dispute_journals(0, 1999, 0, 0, "USD"), "reserve", -1999),
    ],
)
def test_each_movement_stands_against_what_the_processor_owes(
    journals: list[Journal], account: str, amount: int
) -> None:
    [journal] = journals
    assert balances([journal]) == {(account, "USD"): amount, ("processor_receivable", "USD"): -amount}
    assert [entry.amount > 0 for entry in journal.entries] == [True, False], "the debit stands first"


def test_a_hold_that_is_taken_leaves_the_reserve_and_becomes_a_loss() -> None:
    journals = dispute_journals(0, 1999, 1999, 0, "USD", reference="PP-D-1")
    assert [(one.kind.value, one.reference) for one in journals] == [
        ("DISPUTE_RELEASED", "PP-D-1"),
        ("DISPUTE_WITHDRAWN", "PP-D-1"),
    ]
    assert balances(journals) == {("reserve", "USD"): -1999, ("disputes", "USD"): 1999}


def test_a_dispute_that_stands_as_before_books_nothing() -> None:
    assert dispute_journals(700, 300, 700, 300, "USD") == ()


def test_a_fee_of_nothing_moves_nothing() -> None:
    assert fee_journals(None, Fee(0, "USD", "txn_0")) == ()


@pytest.mark.parametrize("book", [capture_journal, capture_reversed_journal, refund_journal, refund_failed_journal])
@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_that_would_turn_a_journal_round_is_a_defect(book: object, amount: int) -> None:
    with pytest.raises(AssertionError):
        book(amount, "USD")  # type: ignore[operator]


def test_a_fee_known_at_once_is_booked_with_the_capture_in_its_own_currency() -> None:
    payment = make_payment()
    transaction = make_transaction(payment)
    result = settled(settle(payment, transaction, approved(transaction, fee=Fee(55, "EUR", "txn_1"))))
    assert balances(result.journals) == {
        ("merchant_payable", "USD"): -1999,
        ("processor_receivable", "USD"): 1999,
        ("fees", "EUR"): 55,
        ("processor_receivable", "EUR"): -55,
    }
    assert [journal.reference for journal in result.journals] == [f"ch_{transaction.id.hex}", "txn_1"]
    assert not result.fee_due


def test_a_capture_whose_fee_is_not_known_leaves_it_due() -> None:
    payment = make_payment(state=State.AUTHORIZED, capture_method=CaptureMethod.MANUAL, amount_authorized=1999)
    capture = make_transaction(payment, type=TransactionType.CAPTURE)
    result = settled(settle(payment, capture, approved(capture)))
    assert result.fee_due
    assert balances(result.journals).keys() == {("merchant_payable", "USD"), ("processor_receivable", "USD")}


def test_what_is_only_held_owes_no_fee() -> None:
    payment = make_payment(capture_method=CaptureMethod.MANUAL)
    transaction = make_transaction(payment)
    result = settled(settle(payment, transaction, approved(transaction, captured=False, fee=FEE)))
    assert (result.journals, result.fee_due) == ((), False)


def test_a_capture_made_elsewhere_names_the_capture_and_not_the_authorization() -> None:
    payment = make_payment(state=State.AUTHORIZED, capture_method=CaptureMethod.MANUAL, amount_authorized=1999)
    held = make_transaction(payment, state=TransactionState.COMPLETED, processor_transaction_id="auth_1")
    result = settled(settle(payment, held, approved(held, processor_transaction_id="cap_1", fee=FEE)))
    assert [journal.reference for journal in result.journals] == ["cap_1", "txn_1"]


def test_what_a_failed_payment_gave_back_is_neither_captured_nor_refunded_and_its_fee_is_due() -> None:
    payment = make_payment(state=State.FAILED)
    failed = make_transaction(payment, state=TransactionState.FAILED)
    late = approved(failed, processor_transaction_id="ch_1")
    given_back = compensation(payment, failed, late, payment.created_at)
    assert given_back is not None
    done = approved(given_back, processor_transaction_id="re_1", fee=Fee(-7, "USD", "txn_2"))
    result = settled(settle(payment, given_back, done))
    assert balances(result.journals) == {("fees", "USD"): -7, ("processor_receivable", "USD"): 7}
    assert [(one.kind.value, one.reference) for one in result.journals] == [
        ("CAPTURE", "ch_1"),
        ("CAPTURE_REVERSED", "re_1"),
        ("FEE", "txn_2"),
    ]
    assert result.fee_due


def test_a_compensating_refund_is_done_only_when_the_processor_says_that_it_is_made() -> None:
    payment = make_payment(state=State.FAILED)
    failed = make_transaction(payment, state=TransactionState.FAILED)
    refund = compensation(payment, failed, approved(failed), payment.created_at)
    void = compensation(payment, failed, approved(failed, captured=False), payment.created_at)
    assert refund is not None and void is not None
    released = Cancelled(processor_payment_id="pi_1")
    assert settled(settle(payment, refund, released)).transaction.state is TransactionState.UNKNOWN
    assert settled(settle(payment, void, released)).transaction.state is TransactionState.COMPLETED


@dataclass
class Totals:
    """What a merchant's accounts must show, kept without the ledger."""

    captured: int = 0
    refunded: int = 0
    fees: int = 0
    withdrawn: int = 0
    held: int = 0


amounts = st.integers(1, 10**11)
steps = st.one_of(
    st.tuples(st.just("capture"), amounts),
    st.tuples(st.just("refund"), amounts),
    st.tuples(st.just("refund fails"), amounts),
    st.tuples(st.just("fee"), st.integers(-(10**9), 10**9)),
    st.tuples(st.just("dispute"), st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))),
)


@given(st.lists(steps, max_size=30))
def test_whatever_happens_every_journal_is_zero_and_every_account_shows_its_total(
    history: list[tuple[str, object]],
) -> None:
    totals, journals = Totals(), list[Journal]()
    for step, value in history:
        journals += take(step, value, totals)
    for journal in journals:
        assert sum(entry.amount for entry in journal.entries) == 0
        assert len({entry.currency for entry in journal.entries}) == 1
    shown = balances(journals)
    expected = {
        LedgerAccount.MERCHANT_PAYABLE: -totals.captured,
        LedgerAccount.REFUNDS: totals.refunded,
        LedgerAccount.FEES: totals.fees,
        LedgerAccount.DISPUTES: totals.withdrawn,
        LedgerAccount.RESERVE: totals.held,
    }
    for account, amount in expected.items():
        assert shown.get((account.value, "USD"), 0) == amount
    owed = totals.captured - totals.refunded - totals.fees - totals.withdrawn - totals.held
    assert shown.get(("processor_receivable", "USD"), 0) == owed


def take(step: str, value: object, totals: Totals) -> Iterable[Journal]:
    """Books one step, and counts it."""
    match step, value:
        case "capture", int(amount):
            totals.captured += amount
            return [capture_journal(amount, "USD")]
        case "refund", int(amount):
            totals.refunded += amount
            return [refund_journal(amount, "USD")]
        case "refund fails", int(amount):
            totals.refunded -= amount
            return [refund_failed_journal(amount, "USD")]
        case "fee", int(amount):
            totals.fees += amount
            return fee_journals(Fee(amount, "USD", "txn"))
        case "dispute", (int(withdrawn), int(held)):
            journals = dispute_journals(totals.withdrawn, totals.held, withdrawn, held, "USD")
            totals.withdrawn, totals.held = withdrawn, held
            return journals
    raise AssertionError(step)


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), max_size=6), st.integers(0, 90))
def test_what_is_settled_explains_the_columns_of_the_payment(refunds: list[tuple[int, bool]], fee: int) -> None:
    """Each refund is approved, and where its second half says so, comes back later."""
    payment = make_payment(amount=3000)
    charge = make_transaction(payment)
    result = settled(settle(payment, charge, approved(charge, fee=Fee(fee, "USD", "txn_1"))))
    payment, journals = result.payment, list(result.journals)
    for amount, comes_back in refunds:
        refund = make_transaction(payment, type=TransactionType.REFUND, amount=amount)
        reserved = replace(payment, amount_refunding=amount)
        findings: list[Approved | Declined] = [approved(refund)]
        if comes_back:
            findings.append(DECLINED)
        standing, transaction = reserved, refund
        for finding in findings:
            result = settled(settle(standing, transaction, finding))
            standing, transaction = result.payment, result.transaction
            journals += result.journals
        payment = standing
    shown = balances(journals)
    assert shown[("merchant_payable", "USD")] == -payment.amount_captured
    assert shown.get(("refunds", "USD"), 0) == payment.amount_refunded
    assert shown.get(("fees", "USD"), 0) == fee
