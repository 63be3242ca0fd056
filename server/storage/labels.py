"""What payments turned out to be: by an analyst's word, else a warning, else a dispute. One SQL fragment says so.

Called by `usecases.labels`, and by whatever reads decisions, counts them or tests rules on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.errors import KassaError, Reason
from server.domain.label import Label, LabelSource, PaymentLabel
from server.storage.engine import dumps
from server.storage.locking import Key
from server.storage.rows import read_time

# Each line is a source, the first that knows is believed.
JOIN_LABEL = """
    LEFT JOIN LATERAL (
        SELECT label, source, author, note, created_at FROM (
            SELECT 1 AS rank, l.label, l.source, l.author, l.note, l.created_at
            FROM fraud_labels l WHERE l.merchant_id = p.merchant_id AND l.payment_id = p.id
            UNION ALL
            SELECT 2, 'FRAUD', 'EARLY_FRAUD_WARNING', '', '', NULL WHERE p.early_fraud_warning
            UNION ALL
            SELECT 3, 'FRAUD', 'DISPUTE', '', '', NULL
            WHERE EXISTS (SELECT FROM disputes d WHERE d.merchant_id = p.merchant_id AND d.payment_id = p.id
                          AND d.reason = 'FRAUDULENT')
        ) AS told ORDER BY rank LIMIT 1
    ) AS known ON true
"""
"""Joins `known (label, source, author, note, created_at)`, NULL where nobody knows, to a row of payments called p."""

_READ = text(f"""
    SELECT p.merchant_id, p.id AS payment_id, to_jsonb(known) AS label
    FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid)
    JOIN payments p ON p.merchant_id = q.merchant_id AND p.id = q.id {JOIN_LABEL}
    WHERE known.label IS NOT NULL
""")
_WRITE = text("""
    INSERT INTO fraud_labels (merchant_id, payment_id, label, source, author, note, created_at)
    SELECT p.merchant_id, p.id, :label, 'ANALYST', :author, :note, now() FROM payments p
    WHERE p.id = :payment_id AND p.merchant_id = :merchant_id
    ON CONFLICT (merchant_id, payment_id) DO UPDATE
    SET label = EXCLUDED.label, author = EXCLUDED.author, note = EXCLUDED.note, created_at = EXCLUDED.created_at
    RETURNING created_at
""")
_OWNER = text("SELECT merchant_id FROM fraud_decisions WHERE payment_id = :payment_id")


def read_labels(connection: Connection, keys: Sequence[Key]) -> dict[Key, PaymentLabel]:
    """Reads what payments turned out to be; those of which nobody knows are missing."""
    wanted = dumps([{"merchant_id": merchant, "id": payment} for merchant, payment in keys])
    rows = connection.execute(_READ, {"keys": wanted}).mappings()
    found = {(row["merchant_id"], row["payment_id"]): read_label(row["payment_id"], row["label"]) for row in rows}
    return {key: label for key, label in found.items() if label is not None}


def read_label(payment_id: UUID, row: Mapping[str, Any] | None) -> PaymentLabel | None:
    """Makes a label of `to_jsonb(known)`, None where nobody knows."""
    if row is None or row["label"] is None:
        return None
    at = None if row["created_at"] is None else read_time(row["created_at"])
    return PaymentLabel(
        payment_id, Label(row["label"]), LabelSource(row["source"]), row["author"] or "", row["note"] or "", at
    )


def label_payment(connection: Connection, merchant_id: UUID | None, said: PaymentLabel) -> PaymentLabel:
    """Keeps an analyst's word; the last one counts.

    Args:
        merchant_id: Whose payment it must be; None for the platform.

    Raises:
        KassaError: PAYMENT_NOT_FOUND.
    """
    owner = merchant_id or connection.scalar(_OWNER, {"payment_id": said.payment_id})
    values = {"payment_id": said.payment_id, "label": said.label, "author": said.author, "note": said.note}
    at = connection.scalar(_WRITE, values | {"merchant_id": owner})
    if at is None:
        raise KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment.")
    return replace(said, source=LabelSource.ANALYST, created_at=at)
