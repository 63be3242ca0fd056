"""Which payments the checks look at, how far they have come, and what they have found. Called by the checking jobs.

Every payment has one authorization, unless the rules blocked it; so whoever walks the authorizations by their id, which
is their age, meets every payment once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from server.storage.book_checks import Drift
from server.storage.engine import dumps
from server.storage.locking import Key

BEGINNING = UUID(int=0)

_WALK = text("""
    SELECT merchant_id, payment_id, id FROM transactions
    WHERE id > :after AND type = 'AUTHORIZATION' ORDER BY id LIMIT :size
""")
_NEWEST = text("""
    SELECT DISTINCT merchant_id, payment_id
    FROM (SELECT merchant_id, payment_id FROM transactions ORDER BY id DESC LIMIT :size) AS newest
""")
_DRIFTING = text("""
    SELECT DISTINCT merchant_id, payment_id FROM books_drift
    WHERE CAST(:check AS text) IS NULL OR check_name = :check ORDER BY 1, 2 LIMIT :size
""")
_ESTIMATE = text("SELECT count(*) FROM transactions WHERE type = 'AUTHORIZATION'")
_POSITION = text("SELECT position FROM sweep_positions WHERE sweep = :sweep")
_SET_POSITION = text("""
    INSERT INTO sweep_positions (sweep, position) VALUES (:sweep, :position)
    ON CONFLICT (sweep) DO UPDATE SET position = EXCLUDED.position
""")
_FORGET = text("""
    DELETE FROM books_drift d USING jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, payment_id uuid)
    WHERE d.merchant_id = q.merchant_id AND d.payment_id = q.payment_id AND d.check_name = ANY(:checks)
""")
_RECORD = text("""
    INSERT INTO books_drift (merchant_id, payment_id, check_name, detail, found_at)
    SELECT DISTINCT ON (merchant_id, payment_id, "check") merchant_id, payment_id, "check", detail, now()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(merchant_id uuid, payment_id uuid, "check" text, detail text)
    ON CONFLICT DO NOTHING
""")
_COUNTS = text("SELECT check_name, count(*) AS drift FROM books_drift GROUP BY check_name")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a walk: its payments, and where it ends; `last` says that none follow."""

    payments: tuple[Key, ...]
    position: UUID
    last: bool


def walk_payments(connection: Connection, after: UUID, size: int) -> Step:
    """Returns the next payments after a position, oldest first."""
    rows = connection.execute(_WALK, {"after": after, "size": size}).all()
    payments = tuple((row.merchant_id, row.payment_id) for row in rows)
    return Step(payments, rows[-1].id if rows else after, len(rows) < size)


def newest_payments(connection: Connection, size: int) -> tuple[Key, ...]:
    """Returns the payments of the newest `size` transactions, and those that drifted when they were last looked at."""
    newest = {(row.merchant_id, row.payment_id) for row in connection.execute(_NEWEST, {"size": size})}
    return tuple(newest.union(drifting_payments(connection, size)))


def drifting_payments(connection: Connection, size: int, check: str | None = None) -> set[Key]:
    """Returns payments that broke a check, any or this one, when it last looked at them."""
    found = connection.execute(_DRIFTING, {"size": size, "check": check})
    return {(row.merchant_id, row.payment_id) for row in found}


def count_payments(connection: Connection) -> int:
    """Returns how many payments a whole walk meets."""
    return int(connection.scalar(_ESTIMATE) or 0)


def read_position(connection: Connection, sweep: str) -> UUID:
    """Returns where a walk goes on."""
    found: UUID | None = connection.scalar(_POSITION, {"sweep": sweep})
    return found or BEGINNING


def set_position(connection: Connection, sweep: str, position: UUID) -> None:
    """Remembers where a walk goes on."""
    connection.execute(_SET_POSITION, {"sweep": sweep, "position": position})


def record_drift(
    connection: Connection, checks: Sequence[str], payments: Sequence[Key], drifts: Sequence[Drift]
) -> None:
    """Keeps what the checks have found of payments; what they do not find any more is forgotten."""
    keys = [{"merchant_id": merchant_id, "payment_id": payment_id} for merchant_id, payment_id in payments]
    connection.execute(_FORGET, {"keys": dumps(keys), "checks": list(checks)})
    if drifts:
        connection.execute(_RECORD, {"rows": dumps(drifts)})


def drift_counts(connection: Connection) -> dict[str, int]:
    """Returns by check how many payments break it; a check that all hold to is missing."""
    return {row.check_name: row.drift for row in connection.execute(_COUNTS)}
