"""Counts strictly what limited merchants open on a day. Called by `open_payments` before anything else is kept.

A merchant's row is locked until the batch commits: whoever comes next knows what was opened before.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from server.clock import utc_now
from server.domain.daily_limit import DailyLimit
from server.storage.engine import dumps

KEPT = timedelta(days=3)
"""How long after its day a count is kept; nobody's calendar is so far behind."""

# In the order of their keys, so that two batches never wait for each other.
_LOCK = text("""
    INSERT INTO daily_transactions AS d (merchant_id, day, opened)
    SELECT merchant_id, day, 0 FROM jsonb_populate_recordset(NULL::daily_transactions, CAST(:rows AS jsonb))
    ORDER BY merchant_id, day
    ON CONFLICT (merchant_id, day) DO UPDATE SET opened = d.opened
    RETURNING merchant_id, day, opened
""")
_COUNT = text("""
    UPDATE daily_transactions d SET opened = d.opened + q.opened
    FROM jsonb_populate_recordset(NULL::daily_transactions, CAST(:rows AS jsonb)) AS q
    WHERE d.merchant_id = q.merchant_id AND d.day = q.day
""")
_FORGET = text("DELETE FROM daily_transactions WHERE day < :day")

_Day = tuple[UUID, date]


def beyond_limit(connection: Connection, asked: Sequence[tuple[UUID, DailyLimit]]) -> list[bool]:
    """Counts payments that are about to be opened, and says of each whether it is one too many, which is not counted.

    Args:
        asked: Merchant and limit of each, the oldest first.
    """
    if not asked:
        return []
    opened = _lock(connection, {(merchant_id, limit.day) for merchant_id, limit in asked})
    before, refused = dict(opened), []
    for merchant_id, limit in asked:
        key = (merchant_id, limit.day)
        refused.append(opened[key] >= limit.most)
        opened[key] += not refused[-1]
    counted = [_row(key, count - before[key]) for key, count in opened.items() if count > before[key]]
    if counted:
        connection.execute(_COUNT, {"rows": dumps(counted)})
    return refused


def forget_days(connection: Connection) -> int:
    """Drops the counts of days that are over everywhere; returns how many there were."""
    return connection.execute(_FORGET, {"day": (utc_now() - KEPT).date()}).rowcount


def _lock(connection: Connection, days: set[_Day]) -> dict[_Day, int]:
    rows = dumps([_row(key, 0) for key in sorted(days)])
    return {(row.merchant_id, row.day): row.opened for row in connection.execute(_LOCK, {"rows": rows})}


def _row(key: _Day, opened: int) -> dict[str, object]:
    return {"merchant_id": key[0], "day": key[1], "opened": opened}
