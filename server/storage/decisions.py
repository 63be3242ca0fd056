"""Reads stored fraud decisions of all merchants, newest first. Called by `usecases.replay_decisions`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.payment import FraudDecision
from server.storage.rows import read_decision

_PAGE = 500
_FIRST, _LAST = UUID(int=0), UUID(int=(1 << 128) - 1)
_SKEW = timedelta(days=1)
_EPOCH_MS_BITS = 80  # a UUIDv7 begins with 48 bits of milliseconds since 1970: RFC 9562, 5.7
_COLUMNS = """
    d.merchant_id, d.payment_id, d.created_at, to_jsonb(d) AS decision,
    p.failure IS NOT NULL AND p.failure->>'code' = 'REVIEW_NOT_POSSIBLE' AS could_not_wait
    FROM fraud_decisions d JOIN payments p ON p.merchant_id = d.merchant_id AND p.id = d.payment_id
"""
_ONE = text(f"SELECT {_COLUMNS} WHERE d.payment_id = :payment_id")
_PAGES = text(f"""
    SELECT {_COLUMNS} WHERE d.payment_id >= :oldest AND d.payment_id < :before
      AND (CAST(:since AS timestamptz) IS NULL OR d.created_at >= :since)
    ORDER BY d.payment_id DESC LIMIT :size
""")


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it was made.

    Attributes:
        could_not_wait: The rules asked for a review, and the payment was blocked since its funds cannot be held.
    """

    merchant_id: UUID
    payment_id: UUID
    created_at: datetime
    decision: FraudDecision
    could_not_wait: bool


def read_one(connection: Connection, payment_id: UUID) -> StoredDecision | None:
    """Reads the decision on any merchant's payment; None where there is none."""
    row = connection.execute(_ONE, {"payment_id": payment_id}).first()
    return None if row is None else _stored(row)


def read_newest(connection: Connection, size: int | None, since: datetime | None) -> Iterator[StoredDecision]:
    """Yields the newest decisions, the newest first, a page at a time.

    Args:
        size: At most so many; None for all.
        since: Only what was decided then or later, by the database's clock; None for all time.
    """
    # Ids hold a server's time, decisions the database's; the id bounds what is looked through, the time decides.
    oldest = _FIRST if since is None else UUID(int=max(0, int((since - _SKEW).timestamp() * 1000)) << _EPOCH_MS_BITS)
    before, left = _LAST, size
    while left is None or left > 0:
        wanted = _PAGE if left is None else min(_PAGE, left)
        values = {"oldest": oldest, "before": before, "since": since, "size": wanted}
        rows = connection.execute(_PAGES, values).all()
        yield from map(_stored, rows)
        if len(rows) < wanted:
            return
        before, left = rows[-1].payment_id, None if left is None else left - len(rows)


def _stored(row: Any) -> StoredDecision:
    decision = read_decision(row.decision)
    assert decision is not None, "a row of fraud_decisions has an outcome"
    return StoredDecision(row.merchant_id, row.payment_id, row.created_at, decision, row.could_not_wait)
