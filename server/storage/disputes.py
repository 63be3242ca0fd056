"""Reads of disputes; each takes a connection and runs on `engine.Reads`, or inside a statement that settles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.dispute import Dispute, DisputeState
from server.storage.dispute_rows import read_dispute
from server.storage.engine import dumps
from server.storage.locking import Key

_GET = text("SELECT to_jsonb(d) FROM disputes d WHERE d.merchant_id = :merchant_id AND d.id = :id")
_BY_OBJECT = text("""
    SELECT to_jsonb(d) FROM disputes d
    WHERE d.merchant_id = :merchant_id AND d.processor_account_id = :account_id
          AND d.processor_dispute_id = :processor_dispute_id
""")
_OF_PAYMENTS = text("""
    SELECT to_jsonb(d) FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid)
    JOIN disputes d ON d.merchant_id = q.merchant_id AND d.payment_id = q.id
""")
_FILTERS = {
    "state": "d.state = :state",
    "payment_id": "d.payment_id = :payment_id",
    "respond_before": "d.respond_by < :respond_before",
    "before": "d.id < :before",
}


@dataclass(frozen=True, slots=True)
class DisputeFilter:
    """Which disputes a list holds; None takes all. `respond_before` is UTC and not included."""

    state: DisputeState | None = None
    payment_id: UUID | None = None
    respond_before: datetime | None = None

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list."""
        fields = {"state": self.state, "payment_id": self.payment_id, "respond_before": self.respond_before}
        return {name: value for name, value in fields.items() if value is not None}


def get_dispute(connection: Connection, merchant_id: UUID, dispute_id: UUID) -> Dispute | None:
    """Reads a dispute of this merchant."""
    row = connection.scalar(_GET, {"merchant_id": merchant_id, "id": dispute_id})
    return None if row is None else read_dispute(row)


def find_dispute(
    connection: Connection, merchant_id: UUID, account_id: UUID, processor_dispute_id: str
) -> Dispute | None:
    """Reads a dispute by its processor's id of it."""
    values = {"merchant_id": merchant_id, "account_id": account_id, "processor_dispute_id": processor_dispute_id}
    row = connection.scalar(_BY_OBJECT, values)
    return None if row is None else read_dispute(row)


def list_disputes(
    connection: Connection, merchant_id: UUID, wanted: DisputeFilter, before: UUID | None, size: int
) -> list[Dispute]:
    """Reads at most `size` disputes, newest first, older than the id `before`."""
    values = wanted.set_fields() | ({} if before is None else {"before": before})
    conditions = " AND ".join(["d.merchant_id = :merchant_id", *(_FILTERS[name] for name in values)])
    statement = text(f"SELECT to_jsonb(d) FROM disputes d WHERE {conditions} ORDER BY d.id DESC LIMIT :size")
    rows = connection.scalars(statement, {"merchant_id": merchant_id, "size": size} | values)
    return [read_dispute(row) for row in rows]


def disputes_of(connection: Connection, keys: Sequence[Key]) -> list[Dispute]:
    """Reads the disputes of payments that the caller has locked."""
    if not keys:
        return []
    wanted = dumps([{"merchant_id": merchant, "id": payment} for merchant, payment in keys])
    return [read_dispute(row) for row in connection.scalars(_OF_PAYMENTS, {"keys": wanted})]
