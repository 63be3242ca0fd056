"""How much is open, unhandled, due and wrong in the database now. Read every few seconds by the worker for its metrics.

Every part reads a partial index or a small table, so that it costs what is open and not what was ever done.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from server.storage.book_walks import drift_counts

_OPEN = text("SELECT state, count(*) AS open FROM transactions WHERE state IN ('PENDING', 'UNKNOWN') GROUP BY state")
_ATTENTION = text("SELECT kind, count(*) AS open FROM attention_items WHERE resolved_at IS NULL GROUP BY kind")
_REST = text("""
    SELECT
        (SELECT COALESCE(extract(epoch FROM now() - min(created_at)), 0) FROM transactions WHERE state = 'UNKNOWN')
            AS oldest_unknown_s,
        (SELECT count(*) FROM processor_events WHERE handled_at IS NULL) AS unhandled_events,
        (SELECT COALESCE(extract(epoch FROM now() - min(received_at)), 0) FROM processor_events
            WHERE handled_at IS NULL) AS oldest_event_s,
        (SELECT count(*) FROM fees_due) AS fees_due,
        (SELECT count(*) FROM payment_deadlines WHERE next_attempt_at < now()) AS overdue_payments
""")


@dataclass(frozen=True, slots=True)
class Standing:
    """Numbers of one moment; ages in seconds, 0 where there is nothing. A count that is missing in a mapping is 0."""

    open_transactions: Mapping[str, int]
    oldest_unknown_s: float
    unhandled_events: int
    oldest_event_s: float
    attention: Mapping[str, int]
    fees_due: int
    overdue_payments: int
    drift: Mapping[str, int]


def read_standing(connection: Connection) -> Standing:
    """Reads all of it."""
    rest = connection.execute(_REST).mappings().one()
    return Standing(
        open_transactions={row.state: row.open for row in connection.execute(_OPEN)},
        oldest_unknown_s=float(rest["oldest_unknown_s"]),
        unhandled_events=rest["unhandled_events"],
        oldest_event_s=float(rest["oldest_event_s"]),
        attention={row.kind: row.open for row in connection.execute(_ATTENTION)},
        fees_due=rest["fees_due"],
        overdue_payments=rest["overdue_payments"],
        drift=drift_counts(connection),
    )
