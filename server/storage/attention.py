"""What people must look at: a processor that contradicts our books. Written by `settle`, read by operators."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.ids import new_id
from server.domain.outcome import Finding
from server.domain.payment import Transaction
from server.storage.engine import dumps
from server.storage.rows import insert

_COLUMNS = ("merchant_id", "id", "payment_id", "transaction_id", "kind", "detail", "created_at")
_INSERT = text(
    insert("attention_items", _COLUMNS)
    + " ON CONFLICT (merchant_id, transaction_id, kind) WHERE resolved_at IS NULL DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Attention:
    """One item. `detail` says in a sentence what was asked and what the processor said; it holds no card data."""

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    kind: str
    detail: str

    @staticmethod
    def about(transaction: Transaction, kind: str, message: str, finding: Finding) -> "Attention":
        """Describes a finding that could not be settled."""
        return Attention(
            transaction.merchant_id, transaction.payment_id, transaction.id, kind, f"{message} ({finding!r})"[:2000]
        )


def insert_attention(connection: Connection, items: Sequence[Attention]) -> None:
    """Opens items; one that stands open already is not opened again."""
    if not items:
        return
    now = connection.scalar(text("SELECT now()"))
    rows = [
        {"merchant_id": item.merchant_id, "id": new_id(), "payment_id": item.payment_id,
         "transaction_id": item.transaction_id, "kind": item.kind, "detail": item.detail, "created_at": now}
        for item in items
    ]  # fmt: skip
    connection.execute(_INSERT, {"rows": dumps(rows)})
