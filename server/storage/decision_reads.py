"""Reads of fraud decisions with their labels; each takes a connection and runs on `engine.Reads`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.payment import FraudOutcome
from server.domain.review_case import Decided
from server.storage.labels import JOIN_LABEL, read_label
from server.storage.rows import read_decision, read_time, read_uuid

_EPOCH_MS_BITS = 80
_CLOCKS_DIFFER = timedelta(days=1)
"""A payment's id tells its server's time, its row the database's; by more than this they never differ."""
_DECISION = f"""
    SELECT to_jsonb(d) AS decision, to_jsonb(known) AS label
    FROM fraud_decisions d JOIN payments p ON p.merchant_id = d.merchant_id AND p.id = d.payment_id {JOIN_LABEL}
"""
_GET = text(
    _DECISION
    + "WHERE d.payment_id = :payment_id AND (CAST(:merchant_id AS uuid) IS NULL OR d.merchant_id = :merchant_id)"
)
_FILTERS = {
    "merchant_id": "d.merchant_id = :merchant_id",
    "rule": "(d.rules ? :rule OR d.shadow_rules ? :rule OR d.snoozed_rules ? :rule)",
    "outcome": "d.outcome = :outcome",
    "created_after": "d.created_at >= :created_after AND d.payment_id >= :oldest",
    "created_before": "d.created_at < :created_before AND d.payment_id < :youngest",
    "before": "d.payment_id < :before",
}


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions a list holds; None takes all. Times are UTC, the first included, the second not."""

    merchant_id: UUID | None = None
    rule: str | None = None
    outcome: FraudOutcome | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list."""
        fields = {
            "merchant_id": self.merchant_id,
            "rule": self.rule,
            "outcome": self.outcome,
            "created_after": self.created_after,
            "created_before": self.created_before,
        }
        return {name: value for name, value in fields.items() if value is not None}


def get_decision(connection: Connection, merchant_id: UUID | None, payment_id: UUID) -> Decided | None:
    """Reads the decision of a payment of this merchant; of any, where None is given."""
    values = {"merchant_id": merchant_id, "payment_id": payment_id}
    row = connection.execute(_GET, values).mappings().first()
    return None if row is None else read_decided(row["decision"], row["label"])


def list_decisions(connection: Connection, wanted: DecisionFilter, before: UUID | None, size: int) -> list[Decided]:
    """Reads at most `size` decisions, newest first, older than the payment id `before`."""
    values = wanted.set_fields() | ({} if before is None else {"before": before})
    where = " AND ".join(_FILTERS[name] for name in values) or "true"
    statement = text(f"{_DECISION} WHERE {where} ORDER BY d.payment_id DESC LIMIT :size")
    values |= id_bounds(wanted.created_after, wanted.created_before)
    rows = connection.execute(statement, values | {"size": size}).mappings()
    return [read_decided(row["decision"], row["label"]) for row in rows]


def id_bounds(after: datetime | None, before: datetime | None) -> dict[str, UUID]:
    """Between which ids payments of a time lie, with a margin: an index is read within them alone."""
    bounds = {}
    if after is not None:
        bounds["oldest"] = _first_id_at(after, -_CLOCKS_DIFFER)
    if before is not None:
        bounds["youngest"] = _first_id_at(before, _CLOCKS_DIFFER)
    return bounds


def _first_id_at(moment: datetime, margin: timedelta) -> UUID:
    milliseconds = int(moment.timestamp() * 1000) + margin // timedelta(milliseconds=1)
    return UUID(int=min(max(0, milliseconds), (1 << 48) - 1) << _EPOCH_MS_BITS)


def read_decided(decision: Mapping[str, Any], label: Mapping[str, Any] | None) -> Decided:
    """Makes a decision of its row and its label's."""
    found = read_decision(decision)
    assert found is not None, "a row of fraud_decisions has an outcome"
    payment_id = read_uuid(decision["payment_id"])
    return Decided(
        read_uuid(decision["merchant_id"]),
        payment_id,
        found,
        read_label(payment_id, label),
        read_time(decision["created_at"]),
    )
