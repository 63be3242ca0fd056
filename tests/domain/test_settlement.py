"""What a finding does to a payment: amounts, states, journals, and the refusal of contradictions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.outcome import (
    ActionRequired,
    Cancelled,
    Declined,
    Finding,
    NotSent,
    Pending,
    Rejected,
    Unknown,
)
from server.domain.payment import (
    CaptureMethod,
    FraudDecision,
    FraudOutcome,
    Payment,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.domain.settlement import AmountMismatch, Contradiction, settle
from tests.factories import approved, make_payment, make_transaction

DECLINED = Declined(failure=Failure(DeclineCode.CARD_DECLINED, "Declined.", Advice.TRY_ANOTHER_METHOD, "do_not_honor"))
REVIEW = FraudDecision(FraudOutcome.REVIEW, 700, (), (), "hash", {})


def captured(amount: int = 1999) -> Payment:
    return make_payment(
        state=State.COMPLETED,
        amount=amount,
        amount_authorized=amount,
        amount_captured=amount,
        processor_payment_id="pi_1",
    )


def refund_of(payment: Payment, amount: int, **changes: object) -> Transaction:
    return make_transaction(payment, type=TransactionType.REFUND, amount=amount, **changes)


def test_an_approved_charge_completes_the_payment_and_books_it() -> None:
    payment = make_payment()
    transaction = make_transaction(payment)
    result = settle(payment, transaction, approved(transaction))
    assert result is not None
    assert (result.payment.state, result.payment.amount_captured) == (State.COMPLETED, 1999)
    assert result.transaction.state is TransactionState.COMPLETED
    assert [(e.account.value, e.amount) for e in result.journals[0].entries] == [
        ("processor_receivable", 1999),
        ("merchant_payable", -1999),
    ]
    assert result.event == "payment.completed"


def test_held_funds_book_nothing() -> None:
    payment = make_payment(capture_method=CaptureMethod.MANUAL)
    transaction = make_transaction(payment)
    result = settle(payment, transaction, approved(transaction, captured=False))
    assert result is not None
    assert result.payment.state is State.AUTHORIZED
    assert (result.payment.amount_authorized, result.payment.amount_captured) == (1999, 0)
    assert result.journals == ()


def test_a_payment_for_review_is_held() -> None:
    payment = make_payment(fraud=REVIEW)
    transaction = make_transaction(payment)
    result = settle(payment, transaction, approved(transaction, captured=False))
    assert result is not None
    assert result.payment.state is State.IN_REVIEW


def test_another_amount_or_currency_is_never_settled() -> None:
    payment = make_payment()
    transaction = make_transaction(payment)
    for wrong in (approved(transaction, amount=1998), approved(transaction, currency="EUR")):
        with pytest.raises(AmountMismatch):
            settle(payment, transaction, wrong)


def test_a_lost_answer_leaves_the_payment_where_it_is() -> None:
    payment = make_payment()
    result = settle(payment, make_transaction(payment), Unknown())
    assert result is not None
    assert result.payment == payment
    assert (result.transaction.state, result.final, result.journals) == (TransactionState.UNKNOWN, False, ())


def test_nothing_sent_fails_the_payment_and_frees_its_key() -> None:
    payment = make_payment()
    result = settle(payment, make_transaction(payment), NotSent())
    assert result is not None and result.payment.failure is not None
    assert (result.payment.state, result.payment.failure.code) == (State.FAILED, DeclineCode.PROCESSOR_UNAVAILABLE)
    assert result.release_key


@pytest.mark.parametrize("finding", [NotSent(), Rejected("bad_key")])
def test_a_repeat_that_did_nothing_says_nothing_of_the_first_attempt(finding: Finding) -> None:
    """The first attempt may have charged: only what a processor says of it may fail the payment."""
    payment = make_payment()
    result = settle(payment, make_transaction(payment, state=TransactionState.UNKNOWN, attempts=1), finding)
    assert result is not None
    assert (result.payment.state, result.transaction.state) == (State.PROCESSING, TransactionState.UNKNOWN)
    assert not result.release_key


def test_a_failed_capture_leaves_the_authorization() -> None:
    payment = make_payment(state=State.AUTHORIZED, amount_authorized=1999)
    transaction = make_transaction(payment, type=TransactionType.CAPTURE)
    for finding in (DECLINED, NotSent(), Rejected("bad_key")):
        result = settle(payment, transaction, finding)
        assert result is not None
        assert (result.payment, result.transaction.state) == (payment, TransactionState.FAILED)


def test_a_void_ends_a_waiting_payment_and_its_authorization() -> None:
    payment = make_payment(state=State.PENDING, redirect_url="https://bank.example")
    result = settle(
        payment, make_transaction(payment, type=TransactionType.VOID), Cancelled(processor_payment_id="pi_1")
    )
    assert result is not None
    assert (result.payment.state, result.payment.redirect_url) == (State.CANCELLED, "")
    assert result.closes_authorization


def test_a_waiting_payment_shows_where_to_go_and_tells_so_once() -> None:
    payment = make_payment()
    waits = ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example/3ds")
    first = settle(payment, make_transaction(payment), waits)
    assert first is not None
    assert (first.payment.state, first.payment.redirect_url, first.event) == (
        State.PENDING,
        "https://bank.example/3ds",
        "payment.pending",
    )
    assert first.transaction.waiting and not first.final
    second = settle(first.payment, first.transaction, waits)
    assert second is not None
    assert second.event == ""


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8))
def test_refunds_add_up_and_the_last_one_turns_the_payment(amounts: list[int]) -> None:
    payment = captured(sum(amounts))
    for number, amount in enumerate(amounts, start=1):
        payment = make_payment(**{n: getattr(payment, n) for n in Payment.__slots__} | {"amount_refunding": amount})
        refund = refund_of(payment, amount)
        result = settle(payment, refund, approved(refund))
        assert result is not None
        payment = result.payment
        assert payment.amount_refunded == sum(amounts[:number])
        assert payment.amount_refunding == 0
        assert sum(entry.amount for journal in result.journals for entry in journal.entries) == 0
    assert payment.state is State.REFUNDED
    assert not payment.beyond_limit


def test_a_declined_refund_gives_its_reservation_back() -> None:
    payment = make_payment(state=State.COMPLETED, amount_authorized=1999, amount_captured=1999, amount_refunding=500)
    result = settle(payment, refund_of(payment, 500), DECLINED)
    assert result is not None
    assert (result.payment.amount_refunding, result.payment.amount_refunded, result.journals) == (0, 0, ())


def test_a_refund_that_fails_later_brings_the_money_back() -> None:
    payment = make_payment(
        state=State.REFUNDED,
        amount_authorized=1999,
        amount_captured=1999,
        amount_refunded=1999,
        processor_payment_id="pi",
    )
    result = settle(payment, refund_of(payment, 1999, state=TransactionState.COMPLETED), DECLINED)
    assert result is not None
    assert (result.payment.state, result.payment.amount_refunded) == (State.COMPLETED, 0)
    assert result.transaction.state is TransactionState.FAILED
    assert result.journals[0].kind.value == "REFUND_FAILED"


def test_an_older_answer_does_not_bring_a_failed_refund_back() -> None:
    """A process that was paused tells late what the processor had said before the refund failed."""
    payment = make_payment(state=State.COMPLETED, amount_authorized=1999, amount_captured=1999)
    refund = refund_of(payment, 500, state=TransactionState.FAILED, processor_transaction_id="re_1")
    assert settle(payment, refund, approved(refund, processor_transaction_id="re_1")) is None
    another = settle(payment, refund, approved(refund, processor_transaction_id="re_2"))
    assert another is not None and another.payment.amount_refunded == 500


@pytest.mark.parametrize("finding", [Unknown(), NotSent(), Rejected("x"), Pending(processor_payment_id="pi")])
def test_a_second_finding_without_news_changes_nothing(finding: Finding) -> None:
    payment = captured()
    assert settle(payment, make_transaction(payment, state=TransactionState.COMPLETED), finding) is None


def test_the_same_outcome_twice_changes_nothing() -> None:
    payment = captured()
    transaction = make_transaction(payment, state=TransactionState.COMPLETED)
    assert settle(payment, transaction, approved(transaction)) is None
    failed = make_payment(state=State.FAILED)
    assert settle(failed, make_transaction(failed, state=TransactionState.FAILED), DECLINED) is None


def test_an_approval_of_what_had_failed_is_a_contradiction() -> None:
    payment = make_payment(state=State.FAILED)
    transaction = make_transaction(payment, state=TransactionState.FAILED)
    with pytest.raises(Contradiction):
        settle(payment, transaction, approved(transaction))
    done = captured()
    with pytest.raises(Contradiction):
        settle(done, make_transaction(done, state=TransactionState.COMPLETED), DECLINED)


def test_what_a_token_stands_for_is_told_by_the_processor_and_never_overwrites() -> None:
    told = {"card_brand": "mastercard", "card_last4": "4444", "card_exp_month": 1, "card_exp_year": 2031}
    unknown_card = make_payment(card=None)
    transaction = make_transaction(unknown_card)
    result = settle(unknown_card, transaction, approved(transaction, **told))
    assert result is not None and result.payment.card is not None
    assert result.payment.card.last4 == "4444"
    known = make_payment()
    result = settle(known, transaction, approved(transaction, **told))
    assert result is not None and result.payment.card is not None
    assert result.payment.card.last4 == "4242"


def test_approved_is_the_only_finding_that_books_money() -> None:
    for kind in (TransactionType.AUTHORIZATION, TransactionType.CAPTURE, TransactionType.VOID):
        state = State.PROCESSING if kind is TransactionType.AUTHORIZATION else State.AUTHORIZED
        payment = make_payment(state=state, amount_authorized=1999)
        for finding in (DECLINED, Cancelled(processor_payment_id="x"), NotSent(), Rejected("x"), Unknown()):
            result = settle(payment, make_transaction(payment, type=kind), finding)
            assert result is None or result.journals == ()
