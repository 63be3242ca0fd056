"""What was left lying: open transactions whose lease has ended, and keys whose time is over. Read by the jobs."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

_DUE_ACCOUNTS = text("""
    SELECT DISTINCT processor_account_id FROM transactions
    WHERE state IN ('PENDING', 'UNKNOWN') AND lease_until < now()
""")
_DUE = text("""
    SELECT merchant_id, payment_id, id AS transaction_id FROM transactions
    WHERE state IN ('PENDING', 'UNKNOWN') AND processor_account_id = :account_id AND lease_until < now()
    ORDER BY lease_until LIMIT :size
""")
_OPEN_OF_PAYMENT = text("""
    SELECT merchant_id, payment_id, id AS transaction_id FROM transactions
    WHERE merchant_id = :merchant_id AND payment_id = :payment_id AND state IN ('PENDING', 'UNKNOWN')
          AND type <> 'DISPUTE'
    ORDER BY id
""")
# Keys of unfinished work never expire.
_EXPIRE = text("""
    DELETE FROM idempotency_keys WHERE (merchant_id, key) IN (
        SELECT merchant_id, key FROM idempotency_keys
        WHERE answered_at < now() - :age_s * interval '1 second' LIMIT :size)
""")


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """Where to find a transaction that is not over."""

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID


def accounts_with_due_transactions(connection: Connection) -> list[UUID]:
    """Returns the processor accounts with open transactions that nobody works on and whose pause is over."""
    return list(connection.scalars(_DUE_ACCOUNTS))


def due_transactions(connection: Connection, account_id: UUID, size: int) -> list[OpenTransaction]:
    """Returns an account's open transactions that nobody works on and whose pause is over, longest overdue first."""
    values = {"account_id": account_id, "size": size}
    return [OpenTransaction(**row) for row in connection.execute(_DUE, values).mappings()]


def open_transactions(connection: Connection, merchant_id: UUID, payment_id: UUID) -> list[OpenTransaction]:
    """Returns a payment's open transactions, oldest first; no disputes, of which events of their own tell."""
    values = {"merchant_id": merchant_id, "payment_id": payment_id}
    return [OpenTransaction(**row) for row in connection.execute(_OPEN_OF_PAYMENT, values).mappings()]


def expire_keys(connection: Connection, age_s: float, size: int) -> int:
    """Forgets at most `size` keys that were answered more than `age_s` seconds ago; returns how many."""
    return connection.execute(_EXPIRE, {"age_s": age_s, "size": size}).rowcount
