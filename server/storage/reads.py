"""Reads of payments and transactions; each takes a connection and runs on `engine.Reads`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from server.domain.payment import Method, Payment, State, Transaction
from server.storage.claims import Replay
from server.storage.prepared import prepared
from server.storage.rows import read_payment, read_transaction

_PAYMENT = """
    SELECT to_jsonb(p) AS payment, to_jsonb(d) AS decision
    FROM payments p LEFT JOIN fraud_decisions d ON d.merchant_id = p.merchant_id AND d.payment_id = p.id
"""
_GET = prepared(_PAYMENT + "WHERE p.merchant_id = :merchant_id AND p.id = :id")
_TRANSACTIONS = prepared("""
    SELECT to_jsonb(t) FROM transactions t
    WHERE t.merchant_id = :merchant_id AND t.payment_id = :payment_id AND t.id > :after ORDER BY t.id LIMIT :size
""")
_TRANSACTION = prepared("SELECT to_jsonb(t) FROM transactions t WHERE t.merchant_id = :merchant_id AND t.id = :id")
_CLAIM = prepared("""
    SELECT payment_id, transaction_id, answer FROM idempotency_keys WHERE merchant_id = :merchant_id AND key = :key
""")
_FILTERS = {
    "state": "p.state = :state",
    "method": "p.method = :method",
    "customer_id": "p.customer_id = :customer_id AND p.customer_id <> ''",
    "created_after": "p.created_at >= :created_after",
    "created_before": "p.created_at < :created_before",
    "before": "p.id < :before",
}


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Which payments a list holds; None takes all. Times are UTC, the first included, the second not."""

    state: State | None = None
    method: Method | None = None
    customer_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list."""
        fields = {
            "state": self.state,
            "method": self.method,
            "customer_id": self.customer_id,
            "created_after": self.created_after,
            "created_before": self.created_before,
        }
        return {name: value for name, value in fields.items() if value is not None}


def get_payment(connection: Connection, merchant_id: UUID, payment_id: UUID) -> Payment | None:
    """Reads a payment of this merchant with its fraud decision."""
    row = connection.execute(_GET, {"merchant_id": merchant_id, "id": payment_id}).mappings().first()
    return None if row is None else read_payment({**row["payment"], "fraud": row["decision"]})


def list_payments(
    connection: Connection, merchant_id: UUID, wanted: PaymentFilter, before: UUID | None, size: int
) -> list[Payment]:
    """Reads at most `size` payments, newest first, older than the id `before`."""
    values = wanted.set_fields() | ({} if before is None else {"before": before})
    conditions = " AND ".join(["p.merchant_id = :merchant_id", *(_FILTERS[name] for name in values)])
    statement = prepared(f"{_PAYMENT} WHERE {conditions} ORDER BY p.id DESC LIMIT :size")
    rows = connection.execute(statement, {"merchant_id": merchant_id, "size": size} | values).mappings()
    return [read_payment({**row["payment"], "fraud": row["decision"]}) for row in rows]


def list_transactions(
    connection: Connection, merchant_id: UUID, payment_id: UUID, after: UUID, size: int
) -> list[Transaction]:
    """Reads at most `size` transactions of a payment, oldest first, younger than the id `after`."""
    values = {"merchant_id": merchant_id, "payment_id": payment_id, "after": after, "size": size}
    return [read_transaction(row) for row in connection.scalars(_TRANSACTIONS, values)]


def get_transaction(connection: Connection, merchant_id: UUID, transaction_id: UUID) -> Transaction | None:
    """Reads one transaction of this merchant."""
    row = connection.scalar(_TRANSACTION, {"merchant_id": merchant_id, "id": transaction_id})
    return None if row is None else read_transaction(row)


def get_claim(connection: Connection, merchant_id: UUID, key: str) -> Replay | None:
    """Reads what an idempotency key stands for; None once it was released."""
    row = connection.execute(_CLAIM, {"merchant_id": merchant_id, "key": key}).mappings().first()
    return None if row is None else Replay(row["payment_id"], row["transaction_id"], row["answer"])
