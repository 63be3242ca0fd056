"""Reviews: payments that the fraud rules leave to people. Opened and closed by `storage.reviews` as payments move.

A review is open exactly while its payment is IN_REVIEW, so whatever moves the payment on ends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, State, Transaction, TransactionType

CLAIM_LASTS = timedelta(minutes=30)
"""A claim lapses, so that nobody's lunch keeps a payment waiting."""
BEFORE_EXPIRY = timedelta(hours=1)
"""A review is decided so long before its hold is called off, so that the default is carried out and not overtaken."""
EXPIRED = "EXPIRED"
"""The reason of a void that nobody asked for but the clock."""
_DETAIL = "ruling"
"""Where a transaction keeps who decided a review by it."""


class ReviewState(StrEnum):
    """Where a review stands."""

    OPEN = "OPEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class Verdict(StrEnum):
    """What an analyst, or the clock, may say."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class Through(StrEnum):
    """By what a review ended."""

    ANALYST = "ANALYST"
    MERCHANT = "MERCHANT"
    """The merchant's own capture or cancel."""
    DEADLINE = "DEADLINE"
    EXPIRY = "EXPIRY"
    """The time of the hold was over."""
    PROCESSOR = "PROCESSOR"


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How long people may take, counted from when the payment came into review, and what happens after that."""

    time: timedelta = timedelta(hours=24)
    default: Verdict = Verdict.REJECT


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who decides a review, and why; the transaction that carries it out keeps it.

    Attributes:
        analyst: Empty where the deadline decides.
    """

    verdict: Verdict
    through: Through
    analyst: str = ""
    reason: str = ""

    def detail(self) -> dict[str, Any]:
        """What a transaction keeps of it."""
        return {_DETAIL: {"verdict": self.verdict, "analyst": self.analyst, "reason": self.reason}}


@dataclass(frozen=True, slots=True)
class Review:
    """A review as stored. Times are UTC and aware.

    Attributes:
        claimed_by: Empty where nobody has claimed it; the claim may have lapsed.
        decided_by: The analyst, empty where it is open or was ended by something else.
        reason: The analyst's.
    """

    merchant_id: UUID
    payment_id: UUID
    state: ReviewState
    deadline: datetime
    default_verdict: Verdict
    created_at: datetime
    claimed_by: str = ""
    claimed_until: datetime | None = None
    decided_by: str = ""
    decided_through: Through | None = None
    reason: str = ""
    closed_at: datetime | None = None

    def claimant(self, now: datetime) -> str:
        """Who has the review, or nobody."""
        return self.claimed_by if self.claimed_until is not None and self.claimed_until > now else ""


@dataclass(frozen=True, slots=True)
class ReviewNote:
    """What an analyst wrote down; it holds no card number."""

    author: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewEnd:
    """How a review ends."""

    state: ReviewState
    through: Through
    decided_by: str = ""
    reason: str = ""


def end_of_review(before: State, after: Payment, transaction: Transaction) -> ReviewEnd | None:
    """Says how a settlement ends a payment's review; None where the payment was in none, or stays there."""
    if before is not State.IN_REVIEW or after.state is State.IN_REVIEW:
        return None
    state = ReviewState.REJECTED if after.state is State.CANCELLED else ReviewState.APPROVED
    captures = transaction.type is TransactionType.CAPTURE
    if transaction.type not in {TransactionType.CAPTURE, TransactionType.VOID} or captures != (
        state is ReviewState.APPROVED
    ):
        return ReviewEnd(state, Through.PROCESSOR)  # also a capture of a hold that the processor had let go
    ruling = transaction.detail.get(_DETAIL)
    if ruling is not None:
        through = Through.ANALYST if ruling["analyst"] else Through.DEADLINE
        return ReviewEnd(state, through, ruling["analyst"], ruling["reason"])
    if transaction.reason == EXPIRED and not transaction.idempotency_keys:
        return ReviewEnd(state, Through.EXPIRY)
    return ReviewEnd(state, Through.MERCHANT)


def verdict_of(detail: Mapping[str, Any]) -> Verdict | None:
    """By which verdict of an analyst or of a deadline a transaction came about; None where its merchant asked for it.

    Args:
        detail: The transaction's.
    """
    ruling = detail.get(_DETAIL)
    return None if ruling is None else Verdict(ruling["verdict"])


def review_deadline(now: datetime, authorized_at: datetime, terms: ReviewTerms, hold: timedelta) -> datetime:
    """Returns until when people may decide.

    Args:
        now: When the payment comes into review.
        hold: How long funds are held, counted from `authorized_at`.
    """
    left = hold - (now - authorized_at) - BEFORE_EXPIRY
    return now + max(min(terms.time, left), timedelta())


def check_open(review: Review) -> None:
    """Lets pass what only open reviews take.

    Raises:
        KassaError: REVIEW_CLOSED.
    """
    if review.state is not ReviewState.OPEN:
        through = review.decided_through
        assert through is not None, "a review that is over says by what"
        raise KassaError(
            Reason.REVIEW_CLOSED,
            f"The review is over: the payment was {review.state.value.lower()}.",
            metadata={"review_state": review.state.value, "through": through.value, "decided_by": review.decided_by},
        )


def check_claim(review: Review, analyst: str, now: datetime) -> None:
    """Lets pass whoever has claimed the review, and anybody where nobody has.

    Raises:
        KassaError: REVIEW_CLAIMED.
    """
    claimant = review.claimant(now)
    if claimant not in {"", analyst}:
        until = review.claimed_until
        assert until is not None, "a claim that stands lapses at some time"
        raise KassaError(
            Reason.REVIEW_CLAIMED,
            f"{claimant} works on this review.",
            metadata={"claimed_by": claimant, "claimed_until": until.isoformat()},
        )


def check_ruling(review: Review | None, ruling: Ruling, now: datetime) -> None:
    """Lets pass whoever may decide; a deadline waits for nobody's claim.

    Raises:
        KassaError: REVIEW_NOT_FOUND, REVIEW_CLOSED or REVIEW_CLAIMED.
    """
    if review is None:
        raise not_found()
    check_open(review)
    if ruling.through is Through.ANALYST:
        check_claim(review, ruling.analyst, now)


def not_found() -> KassaError:
    """Makes the refusal of what is in no review, or not this caller's."""
    return KassaError(Reason.REVIEW_NOT_FOUND, "There is no review of such a payment.")
