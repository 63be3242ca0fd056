"""Approves reviews of payments that their merchants capture by themselves: no processor is asked, so one step does it.

Called through group commit by `usecases.decide_review` and, without a claim, by the sweep of overdue reviews.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from server.crash_points import durable
from server.domain.consequence import Settlement
from server.domain.errors import KassaError
from server.domain.operations import check_idle
from server.domain.payment import OPEN_TRANSACTION_STATES, CaptureMethod, Payment, TransactionType
from server.domain.review import Review, ReviewEnd, ReviewState, Ruling, check_ruling
from server.domain.states import Event, next_state
from server.storage.claims import Claim, Replay, claim_keys, store_answers
from server.storage.group_commit import Postponed
from server.storage.locking import Key, Locked, explain_absent, lock_payments
from server.storage.open_operations import close_claims
from server.storage.reviews import close_reviews, reviews_of
from server.storage.rows import snapshot
from server.storage.settle import write_books


@dataclass(frozen=True, slots=True)
class ApproveReview:
    """Who lets which payment go on.

    Attributes:
        claim: An analyst's call has one; a deadline has none.
    """

    merchant_id: UUID
    payment_id: UUID
    ruling: Ruling
    claim: Claim | None = None

    @property
    def key(self) -> Key:
        """The payment it is about."""
        return self.merchant_id, self.payment_id


Result = Payment | Replay | KassaError | Postponed


@durable
def approve_reviews(connection: Connection, rows: Sequence[ApproveReview]) -> list[Result]:
    """Approves a batch; a refusal becomes the claim's final answer, as does the payment as it then stands."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    lost = claim_keys(connection, [row.claim for row in rows if row.claim is not None and row.key in locked])
    reviews = reviews_of(connection, [*locked])
    approved: list[tuple[ApproveReview, Settlement]] = []
    refused: list[tuple[Claim, KassaError]] = []
    results: list[Result] = []
    for row in rows:
        beaten = absent.get(row.key) or (lost.get(row.claim.attempt_id) if row.claim else None)
        if beaten is not None:
            results.append(beaten)
            continue
        try:
            settlement = _approve(row, locked[row.key], reviews.get(row.key))
        except KassaError as refusal:
            results.append(refusal)
            refused += [(row.claim, refusal)] if row.claim else []
        else:
            results.append(settlement.payment)
            approved.append((row, settlement))
    _write(connection, approved)
    close_claims(connection, refused)
    return results


def _approve(row: ApproveReview, locked: Locked, review: Review | None) -> Settlement:
    payment = locked.payment
    check_ruling(review, row.ruling, locked.now)
    check_idle(payment, [one for one in locked.transactions.values() if one.state in OPEN_TRANSACTION_STATES])
    assert payment.capture_method is CaptureMethod.MANUAL, "what is captured by itself is approved by its capture"
    moved = replace(payment, state=next_state(payment.state, Event.REVIEW_APPROVED), updated_at=locked.now)
    authorization = next(one for one in locked.transactions.values() if one.type is TransactionType.AUTHORIZATION)
    return Settlement(moved, authorization, event="payment.authorized")


def _write(connection: Connection, approved: Sequence[tuple[ApproveReview, Settlement]]) -> None:
    if not approved:
        return
    write_books(connection, [settlement for _, settlement in approved])
    close_reviews(connection, [(*row.key, _end(row.ruling), s.payment.updated_at) for row, s in approved])
    store_answers(
        connection,
        [(row.claim.hold, {"payment": snapshot(s.payment)}) for row, s in approved if row.claim],
    )


def _end(ruling: Ruling) -> ReviewEnd:
    return ReviewEnd(ReviewState.APPROVED, ruling.through, ruling.analyst, ruling.reason)
