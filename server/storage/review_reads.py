"""Reads of reviews with their payments; each takes a connection and runs on `engine.Reads`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.review import Review, ReviewNote, ReviewState
from server.domain.review_case import ReviewCase
from server.storage.decision_reads import read_decided
from server.storage.labels import JOIN_LABEL
from server.storage.reviews import read_review
from server.storage.rows import read_payment

_CASE = f"""
    SELECT to_jsonb(r) AS review, to_jsonb(p) AS payment, to_jsonb(d) AS decision, to_jsonb(known) AS label
    FROM reviews r JOIN payments p ON p.merchant_id = r.merchant_id AND p.id = r.payment_id
    JOIN fraud_decisions d ON d.merchant_id = r.merchant_id AND d.payment_id = r.payment_id {JOIN_LABEL}
"""
_GET = text(
    _CASE + "WHERE r.payment_id = :payment_id AND (CAST(:merchant_id AS uuid) IS NULL OR r.merchant_id = :merchant_id)"
)
_NOTES = text("""
    SELECT author, text, created_at FROM review_notes
    WHERE merchant_id = :merchant_id AND payment_id = :payment_id ORDER BY id
""")
_FILTERS = {
    "merchant_id": "r.merchant_id = :merchant_id",
    "state": "r.state = :state",
    "claimed_by": "r.claimed_by = :claimed_by AND r.claimed_until > now()",
}
_QUEUE = """
    r.state = 'OPEN' AND (CAST(:deadline AS timestamptz) IS NULL OR (r.deadline, r.payment_id) > (:deadline, :id)){}
    ORDER BY r.deadline, r.payment_id
"""
_PAST = "r.state <> 'OPEN' AND (CAST(:id AS uuid) IS NULL OR r.payment_id < :id){} ORDER BY r.payment_id DESC"


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which reviews a list holds; None takes all. `claimed_by` takes those whose claim has not lapsed."""

    merchant_id: UUID | None = None
    state: ReviewState | None = None
    claimed_by: str | None = None

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list."""
        fields = {"merchant_id": self.merchant_id, "state": self.state, "claimed_by": self.claimed_by}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ReviewPosition:
    """Behind which review a list goes on. `deadline` is None among those that are over."""

    deadline: datetime | None
    payment_id: UUID

    @staticmethod
    def of(review: Review) -> "ReviewPosition":
        """Where a review stands."""
        return ReviewPosition(review.deadline if review.state is ReviewState.OPEN else None, review.payment_id)


def get_case(connection: Connection, merchant_id: UUID | None, payment_id: UUID) -> ReviewCase | None:
    """Reads the review of a payment of this merchant, with its notes; of any, where None is given."""
    row = connection.execute(_GET, {"merchant_id": merchant_id, "payment_id": payment_id}).mappings().first()
    if row is None:
        return None
    case = _case(row)
    key = {"merchant_id": case.review.merchant_id, "payment_id": payment_id}
    notes = tuple(ReviewNote(*note) for note in connection.execute(_NOTES, key))
    return ReviewCase(case.review, case.payment, case.decided, notes)


def list_cases(
    connection: Connection, wanted: ReviewFilter, after: ReviewPosition | None, size: int
) -> list[ReviewCase]:
    """Reads at most `size` reviews without notes: open ones by deadline, then those that are over, newest first."""
    found: list[ReviewCase] = []
    among_past = after is not None and after.deadline is None
    if not among_past and wanted.state in {None, ReviewState.OPEN}:
        found += _list(connection, _QUEUE, wanted, after, size)
    if len(found) < size and wanted.state is not ReviewState.OPEN:
        found += _list(connection, _PAST, wanted, after if among_past else None, size - len(found))
    return found


def _list(
    connection: Connection, half: str, wanted: ReviewFilter, after: ReviewPosition | None, size: int
) -> list[ReviewCase]:
    values = wanted.set_fields()
    narrowed = "".join(f" AND {_FILTERS[name]}" for name in values)
    values |= {"deadline": after and after.deadline, "id": after and after.payment_id, "size": size}
    rows = connection.execute(text(f"{_CASE} WHERE {half.format(narrowed)} LIMIT :size"), values).mappings()
    return [_case(row) for row in rows]


def _case(row: Mapping[Any, Any]) -> ReviewCase:
    payment = read_payment({**row["payment"], "fraud": row["decision"]})
    return ReviewCase(read_review(row["review"]), payment, read_decided(row["decision"], row["label"]))
