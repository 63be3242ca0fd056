"""What people must look at: a processor that contradicts our books. Opened by settling, see `usecases.attention`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.attention import RESOLVED_BY_ITSELF, AttentionItem, AttentionKind
from server.domain.ids import new_id
from server.domain.outcome import Finding
from server.domain.payment import Transaction
from server.storage.engine import dumps

_INSERTED = "merchant_id, id, payment_id, transaction_id, kind, detail, created_at"
_COLUMNS = f"{_INSERTED}, resolved_at, COALESCE(resolved_by, '') AS resolved_by, COALESCE(note, '') AS note"
# What a person has seen is not shown again in the same words; what closed itself may open anew.
_INSERT = text(f"""
    INSERT INTO attention_items ({_INSERTED})
    SELECT {_INSERTED} FROM jsonb_populate_recordset(NULL::attention_items, CAST(:rows AS jsonb)) AS q
    WHERE NOT EXISTS (
        SELECT FROM attention_items a
        WHERE a.merchant_id = q.merchant_id AND a.payment_id = q.payment_id AND a.transaction_id = q.transaction_id
          AND a.kind = q.kind AND a.detail = q.detail AND a.resolved_by <> '{RESOLVED_BY_ITSELF}')
    ON CONFLICT (merchant_id, transaction_id, kind) WHERE resolved_at IS NULL DO NOTHING
""")
_CLOSE = text(f"""
    UPDATE attention_items a SET resolved_at = now(), resolved_by = '{RESOLVED_BY_ITSELF}', note = q.note
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(merchant_id uuid, transaction_id uuid, kind text, note text)
    WHERE a.merchant_id = q.merchant_id AND a.transaction_id = q.transaction_id AND a.kind = q.kind
      AND a.resolved_at IS NULL
""")
_RESOLVE = text("""
    UPDATE attention_items SET resolved_at = now(), resolved_by = :resolved_by, note = :note
    WHERE id = :id AND (CAST(:merchant_id AS uuid) IS NULL OR merchant_id = :merchant_id) AND resolved_at IS NULL
""")
_GET = text(f"""
    SELECT {_COLUMNS} FROM attention_items
    WHERE id = :id AND (CAST(:merchant_id AS uuid) IS NULL OR merchant_id = :merchant_id)
""")
_FILTERS = {
    "merchant_id": "merchant_id = :merchant_id",
    "payment_id": "payment_id = :payment_id",
    "kind": "kind = :kind",
    "before": "id < :before",
}


@dataclass(frozen=True, slots=True)
class Attention:
    """An item to open. `detail` says in a sentence what was asked and what the processor said; it holds no card data.

    What is found again must be told in the same words, so that it is shown once.
    """

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    kind: AttentionKind
    detail: str

    @staticmethod
    def about(transaction: Transaction, kind: AttentionKind, message: str, finding: Finding) -> "Attention":
        """Describes a finding that could not be settled."""
        return Attention(
            transaction.merchant_id, transaction.payment_id, transaction.id, kind, f"{message} ({finding!r})"[:2000]
        )


@dataclass(frozen=True, slots=True)
class AttentionOver:
    """Open items of a transaction that need nobody any more; `note` says why."""

    merchant_id: UUID
    transaction_id: UUID
    kind: AttentionKind
    note: str


@dataclass(frozen=True, slots=True)
class AttentionFilter:
    """Which items a list holds; None takes all."""

    merchant_id: UUID | None = None
    payment_id: UUID | None = None
    kind: AttentionKind | None = None
    include_resolved: bool = False

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list by a value."""
        fields = {"merchant_id": self.merchant_id, "payment_id": self.payment_id, "kind": self.kind}
        return {name: value for name, value in fields.items() if value is not None}


def insert_attention(connection: Connection, items: Sequence[Attention]) -> None:
    """Opens items; one that stands open already, or that a person has closed in the same words, is not opened again."""
    if not items:
        return
    now = connection.scalar(text("SELECT now()"))
    rows = [
        {"merchant_id": item.merchant_id, "id": new_id(), "payment_id": item.payment_id,
         "transaction_id": item.transaction_id, "kind": item.kind, "detail": item.detail, "created_at": now}
        for item in items
    ]  # fmt: skip
    connection.execute(_INSERT, {"rows": dumps(rows)})


def close_attention(connection: Connection, over: Iterable[AttentionOver]) -> None:
    """Closes items that have resolved themselves."""
    rows = list(over)
    if rows:
        connection.execute(_CLOSE, {"rows": dumps(rows)})


def list_attention(
    connection: Connection, wanted: AttentionFilter, before: UUID | None, size: int
) -> list[AttentionItem]:
    """Reads at most `size` items, newest first, older than the id `before`."""
    values = wanted.set_fields() | ({} if before is None else {"before": before})
    conditions = [_FILTERS[name] for name in values] + ([] if wanted.include_resolved else ["resolved_at IS NULL"])
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = text(f"SELECT {_COLUMNS} FROM attention_items {where} ORDER BY id DESC LIMIT :size")
    return [_item(row) for row in connection.execute(statement, values | {"size": size}).mappings()]


def resolve_attention(
    connection: Connection, merchant_id: UUID | None, item_id: UUID, resolved_by: str, note: str
) -> AttentionItem | None:
    """Closes an item and returns it; None where there is none, or not of this merchant. What was closed stays so."""
    values = {"id": item_id, "merchant_id": merchant_id, "resolved_by": resolved_by, "note": note}
    connection.execute(_RESOLVE, values)
    row = connection.execute(_GET, values).mappings().first()
    return None if row is None else _item(row)


def _item(row: Mapping[Any, Any]) -> AttentionItem:
    return AttentionItem(**{**row, "kind": AttentionKind(row["kind"])})
