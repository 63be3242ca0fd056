"""Disputes as rows: the same flat form for Postgres, for stored answers and for events."""

from collections.abc import Mapping
from typing import Any

from server.domain.dispute import Dispute, DisputeReason, DisputeState
from server.domain.dispute_answer import read_evidence, write_evidence
from server.storage.rows import Row, read_time, read_uuid

DISPUTE_COLUMNS = (
    "merchant_id", "id", "payment_id", "transaction_id", "version", "state", "reason", "reason_code", "inquiry",
    "amount", "currency", "amount_withdrawn", "amount_held", "processor", "processor_account_id",
    "processor_dispute_id", "respond_by", "evidence", "answered_at", "opened_at", "created_at", "updated_at",
)  # fmt: skip


def dispute_row(dispute: Dispute) -> Row:
    """Flattens a dispute."""
    row = {name: getattr(dispute, name) for name in DISPUTE_COLUMNS}
    row["evidence"] = None if dispute.evidence is None else write_evidence(dispute.evidence)
    return row


def read_dispute(row: Mapping[str, Any]) -> Dispute:
    """Makes a dispute of a database row or of a stored answer."""
    return Dispute(
        id=read_uuid(row["id"]),
        merchant_id=read_uuid(row["merchant_id"]),
        payment_id=read_uuid(row["payment_id"]),
        transaction_id=read_uuid(row["transaction_id"]),
        version=row["version"],
        state=DisputeState(row["state"]),
        reason=DisputeReason(row["reason"]),
        reason_code=row["reason_code"],
        inquiry=row["inquiry"],
        amount=row["amount"],
        currency=row["currency"],
        amount_withdrawn=row["amount_withdrawn"],
        amount_held=row["amount_held"],
        processor=row["processor"],
        processor_account_id=read_uuid(row["processor_account_id"]),
        processor_dispute_id=row["processor_dispute_id"],
        respond_by=None if row["respond_by"] is None else read_time(row["respond_by"]),
        evidence=None if row["evidence"] is None else read_evidence(row["evidence"]),
        answered_at=None if row["answered_at"] is None else read_time(row["answered_at"]),
        opened_at=read_time(row["opened_at"]),
        created_at=read_time(row["created_at"]),
        updated_at=read_time(row["updated_at"]),
    )
