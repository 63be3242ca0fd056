"""Streams payments with the facts they were decided by and what became of them. Called by `backtest_source` alone.

It reads whole ranges in the order of time, which no server does: only for a command line, with the reader's role.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from server.storage.labels import JOIN_LABEL

_BATCH = 2_000

_PLAN = text("""
    SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on;
    SET LOCAL enable_material = on
""")
_PAYMENTS = text(f"""
    SELECT p.merchant_id, p.created_at, p.amount, p.currency, p.test_mode, d.facts, known.label,
           p.amount_authorized > 0 AS approved,
           p.state = 'FAILED' AND p.failure->>'code' NOT IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE',
               'PROCESSOR_UNAVAILABLE', 'PROCESSOR_REJECTED', 'NOT_SUBMITTED') AS declined,
           p.state = 'FAILED' AND p.failure->>'code' IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE') AS blocked,
           p.amount_refunded AS refunded,
           (SELECT min(t.updated_at) FROM transactions t WHERE t.merchant_id = p.merchant_id AND t.payment_id = p.id
              AND t.type = 'REFUND' AND t.state = 'COMPLETED') AS refunded_at,
           (SELECT min(x.opened_at) FROM disputes x
            WHERE x.merchant_id = p.merchant_id AND x.payment_id = p.id AND NOT x.inquiry) AS disputed_at,
           warned.at AS warned_at,
           p.failure->>'code' AS decline_code, to_jsonb(p)->'processor_checks' AS checks
    FROM payments p
    JOIN fraud_decisions d ON d.merchant_id = p.merchant_id AND d.payment_id = p.id
    LEFT JOIN LATERAL (
        SELECT min(e.created_at) AS at FROM processor_events e
        WHERE e.merchant_id = p.merchant_id AND e.payment_id = p.id AND e.type LIKE '%early\\_fraud\\_warning%'
    ) AS warned ON true {JOIN_LABEL}
    WHERE (CAST(:merchant_id AS uuid) IS NULL OR p.merchant_id = :merchant_id)
      AND (CAST(:since AS timestamptz) IS NULL OR p.created_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR p.created_at < :until)
    ORDER BY p.created_at, p.id
""")
_LAST = text("""
    SELECT max(created_at) FROM payments WHERE CAST(:merchant_id AS uuid) IS NULL OR merchant_id = :merchant_id
""")


@dataclass(frozen=True, slots=True)
class Range:
    """Payments made from `since` on and before `until`, None for no bound; of one merchant, or of all."""

    since: datetime | None
    until: datetime | None
    merchant_id: UUID | None


def stream_payments(connection: Connection, wanted: Range) -> Iterator[RowMapping]:
    """Yields decided payments in the order of time, a few thousand in memory at once.

    Args:
        connection: In a transaction of its own, which stays open while rows are taken.
    """
    connection.execute(_PLAN)
    values: dict[str, Any] = {"since": wanted.since, "until": wanted.until, "merchant_id": wanted.merchant_id}
    streaming = connection.execution_options(stream_results=True, yield_per=_BATCH)
    yield from streaming.execute(_PAYMENTS, values).mappings()


def read_last_time(connection: Connection, merchant_id: UUID | None) -> datetime | None:
    """Returns when the newest payment was made; None where there is none."""
    found: datetime | None = connection.scalar(_LAST, {"merchant_id": merchant_id})
    return found
