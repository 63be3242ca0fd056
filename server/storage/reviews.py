"""The reviews table, written as settlements move payments. Called by `settle`, `approve_reviews`, `open_operations`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.consequence import Settlement
from server.domain.expiry import PATIENCE, Lifetimes
from server.domain.payment import State, TransactionType
from server.domain.review import (
    Review,
    ReviewEnd,
    ReviewState,
    Through,
    Verdict,
    end_of_review,
    review_deadline,
)
from server.storage.engine import dumps
from server.storage.locking import Key
from server.storage.prepared import Writes, prepared
from server.storage.rows import read_time, read_uuid

_OPEN = prepared("""
    INSERT INTO reviews (merchant_id, payment_id, state, deadline, default_verdict, next_attempt_at, created_at)
    SELECT merchant_id, payment_id, 'OPEN', deadline, default_verdict, deadline, created_at
    FROM jsonb_populate_recordset(NULL::reviews, CAST(:rows AS jsonb))
    ON CONFLICT (merchant_id, payment_id) DO NOTHING
""")
_CLOSE = prepared("""
    UPDATE reviews r
    SET state = q.state, decided_by = q.decided_by, decided_through = q.decided_through, reason = q.reason,
        closed_at = q.closed_at, claimed_by = '', claimed_until = NULL
    FROM jsonb_populate_recordset(NULL::reviews, CAST(:rows AS jsonb)) AS q
    WHERE r.merchant_id = q.merchant_id AND r.payment_id = q.payment_id AND r.state = 'OPEN'
""")
_OF_PAYMENTS = text("""
    SELECT to_jsonb(r) FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid)
    JOIN reviews r ON r.merchant_id = q.merchant_id AND r.payment_id = q.id
""")
# To take one up is to postpone it: of two workers one gets it, and a worker that dies leaves it for later.
_TAKE = text("""
    UPDATE reviews r
    SET attempts = r.attempts + 1,
        next_attempt_at = now() + LEAST(:longest_s, :pause_s * 2.0 ^ LEAST(r.attempts, 12)) * interval '1 second'
    FROM (SELECT merchant_id, payment_id FROM reviews WHERE state = 'OPEN' AND next_attempt_at < now()
          ORDER BY next_attempt_at LIMIT :size FOR UPDATE SKIP LOCKED) AS q
    WHERE r.merchant_id = q.merchant_id AND r.payment_id = q.payment_id
    RETURNING to_jsonb(r)
""")

PAUSE_S, LONGEST_PAUSE_S = 30.0, 3600.0
"""Seconds until a review whose default could not be carried out is looked at again; doubles with each attempt."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a settlement did to a payment.

    Attributes:
        before: Where the payment stood.
        lifetimes: How long it may wait; None where nobody told, and then as long as by default.
    """

    before: State
    settlement: Settlement
    lifetimes: Lifetimes | None = None


def follow_moves(writes: Writes, moves: Iterable[Moved]) -> None:
    """Opens the reviews of locked payments that came into review, and closes those of payments that left it."""
    opened, ended = [], []
    for move in moves:
        payment = move.settlement.payment
        if payment.state is State.IN_REVIEW and move.before is not State.IN_REVIEW:
            opened.append(_opening(move))
        end = end_of_review(move.before, payment, move.settlement.transaction)
        if end is not None:
            ended.append((payment.merchant_id, payment.id, end, payment.updated_at))
    if opened:
        writes.execute(_OPEN, {"rows": dumps(opened)})
    close_reviews(writes, ended)


def _opening(move: Moved) -> dict[str, object]:
    payment, authorization = move.settlement.payment, move.settlement.transaction
    assert authorization.type is TransactionType.AUTHORIZATION, "nothing else leads into review"
    lifetimes = move.lifetimes or PATIENCE
    deadline = review_deadline(payment.updated_at, authorization.created_at, lifetimes.review, lifetimes.hold)
    return {
        "merchant_id": payment.merchant_id,
        "payment_id": payment.id,
        "deadline": deadline,
        "default_verdict": lifetimes.review.default,
        "created_at": payment.updated_at,
    }


def close_reviews(writes: Writes, ended: Sequence[tuple[UUID, UUID, ReviewEnd, datetime]]) -> None:
    """Closes reviews of locked payments: (merchant, payment, how, when) each; one that is over stays as it is."""
    rows = [
        {"merchant_id": merchant_id, "payment_id": payment_id, "state": end.state, "decided_by": end.decided_by,
         "decided_through": end.through, "reason": end.reason, "closed_at": at}
        for merchant_id, payment_id, end, at in ended
    ]  # fmt: skip
    if rows:
        writes.execute(_CLOSE, {"rows": dumps(rows)})


def reviews_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, Review]:
    """Reads the reviews of payments that the caller has locked."""
    if not keys:
        return {}
    wanted = dumps([{"merchant_id": merchant, "id": payment} for merchant, payment in keys])
    found = [read_review(row) for row in connection.scalars(_OF_PAYMENTS, {"keys": wanted})]
    return {(one.merchant_id, one.payment_id): one for one in found}


@durable
def take_due_reviews(connection: Connection, size: int) -> list[Review]:
    """Returns at most `size` reviews whose deadline is over; each is due again after a pause, unless it ends."""
    values = {"size": size, "pause_s": PAUSE_S, "longest_s": LONGEST_PAUSE_S}
    return [read_review(row) for row in connection.scalars(_TAKE, values)]


def read_review(row: Mapping[str, Any]) -> Review:
    """Makes a review of a row in JSON."""
    return Review(
        merchant_id=read_uuid(row["merchant_id"]),
        payment_id=read_uuid(row["payment_id"]),
        state=ReviewState(row["state"]),
        deadline=read_time(row["deadline"]),
        default_verdict=Verdict(row["default_verdict"]),
        created_at=read_time(row["created_at"]),
        claimed_by=row["claimed_by"],
        claimed_until=None if row["claimed_until"] is None else read_time(row["claimed_until"]),
        decided_by=row["decided_by"],
        decided_through=None if row["decided_through"] is None else Through(row["decided_through"]),
        reason=row["reason"],
        closed_at=None if row["closed_at"] is None else read_time(row["closed_at"]),
    )
