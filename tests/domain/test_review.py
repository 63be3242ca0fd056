"""How long people may decide, by what a review ends, and who may decide it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import KassaError, Reason
from server.domain.payment import State, TransactionType
from server.domain.review import (
    BEFORE_EXPIRY,
    CLAIM_LASTS,
    EXPIRED,
    Review,
    ReviewState,
    ReviewTerms,
    Ruling,
    Through,
    Verdict,
    check_ruling,
    end_of_review,
    review_deadline,
)
from server.domain.states import TRANSITIONS, Event
from tests.factories import make_payment, make_transaction

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADA = Ruling(Verdict.APPROVE, Through.ANALYST, "Ada", "A regular.")
TIMES = st.timedeltas(timedelta(), timedelta(days=60))


@given(age=TIMES, time=TIMES, hold=TIMES)
def test_a_deadline_is_within_the_terms_and_before_the_hold_is_called_off(
    age: timedelta, time: timedelta, hold: timedelta
) -> None:
    deadline = review_deadline(NOW, NOW - age, ReviewTerms(time), hold)
    assert NOW <= deadline <= NOW + time
    assert deadline == NOW or deadline <= NOW - age + hold - BEFORE_EXPIRY


def test_a_hold_without_end_leaves_the_terms() -> None:
    assert review_deadline(NOW, NOW, ReviewTerms(timedelta(hours=5)), timedelta.max) == NOW + timedelta(hours=5)


def test_an_approval_without_a_capture_leads_out_of_review_alone() -> None:
    assert [pair for pair in TRANSITIONS if pair[1] is Event.REVIEW_APPROVED] == [
        (State.IN_REVIEW, Event.REVIEW_APPROVED)
    ]


CAPTURE, VOID = {"type": TransactionType.CAPTURE}, {"type": TransactionType.VOID}
BY_KEY, BY_ADA = {"idempotency_keys": ("k1",)}, {"detail": ADA.detail()}
BY_TIME = {"detail": Ruling(Verdict.REJECT, Through.DEADLINE).detail()}
ENDS = [
    (CAPTURE | BY_KEY, State.COMPLETED, ReviewState.APPROVED, Through.MERCHANT),
    (VOID | BY_KEY, State.CANCELLED, ReviewState.REJECTED, Through.MERCHANT),
    (VOID | BY_KEY | {"reason": EXPIRED}, State.CANCELLED, ReviewState.REJECTED, Through.MERCHANT),
    (VOID | {"reason": EXPIRED}, State.CANCELLED, ReviewState.REJECTED, Through.EXPIRY),
    (CAPTURE | BY_KEY | BY_ADA, State.COMPLETED, ReviewState.APPROVED, Through.ANALYST),
    (VOID | BY_TIME, State.CANCELLED, ReviewState.REJECTED, Through.DEADLINE),
    (CAPTURE | BY_ADA, State.CANCELLED, ReviewState.REJECTED, Through.PROCESSOR),
    ({}, State.COMPLETED, ReviewState.APPROVED, Through.PROCESSOR),
    ({}, State.CANCELLED, ReviewState.REJECTED, Through.PROCESSOR),
]


@pytest.mark.parametrize(("transaction", "after", "state", "through"), ENDS)
def test_a_review_ends_by_whatever_moves_its_payment_on(
    transaction: dict[str, object], after: State, state: ReviewState, through: Through
) -> None:
    payment = make_payment(state=after)
    end = end_of_review(State.IN_REVIEW, payment, make_transaction(payment, **transaction))
    assert end is not None
    assert (end.state, end.through) == (state, through)
    assert end.decided_by == ("Ada" if through is Through.ANALYST else "")


@pytest.mark.parametrize("before", [State.AUTHORIZED, State.PROCESSING, State.COMPLETED])
def test_what_was_in_no_review_ends_none(before: State) -> None:
    payment = make_payment(state=State.CANCELLED)
    assert end_of_review(before, payment, make_transaction(payment, **VOID)) is None


def test_what_stays_in_review_ends_none() -> None:
    payment = make_payment(state=State.IN_REVIEW)
    assert end_of_review(State.IN_REVIEW, payment, make_transaction(payment, **CAPTURE)) is None


def review(**changes: object) -> Review:
    payment = make_payment()
    made = Review(payment.merchant_id, payment.id, ReviewState.OPEN, NOW, Verdict.REJECT, NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


CLAIMED = {"claimed_by": "Grace", "claimed_until": NOW + CLAIM_LASTS}
OVER = {"state": ReviewState.APPROVED, "decided_through": Through.MERCHANT, "closed_at": NOW}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, Reason.REVIEW_NOT_FOUND),
        (review(**OVER), Reason.REVIEW_CLOSED),
        (review(**CLAIMED), Reason.REVIEW_CLAIMED),
    ],
)
def test_what_may_not_be_decided_says_why(found: Review | None, reason: Reason) -> None:
    with pytest.raises(KassaError) as refusal:
        check_ruling(found, ADA, NOW)
    assert refusal.value.reason is reason


def test_whoever_has_the_claim_and_the_deadline_may_decide() -> None:
    check_ruling(review(), ADA, NOW)
    check_ruling(review(**CLAIMED), replace(ADA, analyst="Grace"), NOW)
    check_ruling(review(**CLAIMED), ADA, NOW + CLAIM_LASTS)
    check_ruling(review(**CLAIMED), Ruling(Verdict.REJECT, Through.DEADLINE), NOW)
