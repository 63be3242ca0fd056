"""Locks payments for a batch, with what hangs on them; whoever is locked elsewhere is skipped and tries again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, Transaction
from server.storage.engine import dumps
from server.storage.group_commit import POSTPONED, Postponed
from server.storage.prepared import prepared, read
from server.storage.rows import TOLD_OF_DECISION, read_payment, read_transaction

Key = tuple[UUID, UUID]
"""Merchant and payment."""

_LOCK = prepared("""
    SELECT to_jsonb(p) AS payment, now() AS now
    FROM payments p
    WHERE (p.merchant_id, p.id) IN (
        SELECT q.merchant_id, q.id FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid))
    ORDER BY p.merchant_id, p.id
    FOR NO KEY UPDATE OF p SKIP LOCKED
""")
# Their transactions need no lock of their own: whoever changes one locks its payment first.
_HANGING = prepared(f"""
    SELECT t.merchant_id, t.payment_id, to_jsonb(t) AS transaction, NULL::jsonb AS decision
    FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid)
    JOIN transactions t ON t.merchant_id = q.merchant_id AND t.payment_id = q.id
    UNION ALL
    SELECT d.merchant_id, d.payment_id, NULL, jsonb_build_object({", ".join(f"'{n}', d.{n}" for n in TOLD_OF_DECISION)})
    FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid)
    JOIN fraud_decisions d ON d.merchant_id = q.merchant_id AND d.payment_id = q.id
""")
_KNOWN = prepared("""
    SELECT p.merchant_id, p.id FROM payments p
    WHERE (p.merchant_id, p.id) IN (
        SELECT q.merchant_id, q.id FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, id uuid))
""")


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a transaction, and until when nobody else may."""

    owner: UUID | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Locked:
    """A payment under its row lock, with all its transactions and their leases; `now` is the database's clock."""

    payment: Payment
    transactions: dict[UUID, Transaction]
    leases: dict[UUID, Lease]
    now: datetime

    def leased_by(self, owner: UUID) -> Transaction | None:
        """The transaction that an owner holds now.

        Each attempt has an owner of its own. So a row that finds itself here was written before: the answer to its
        COMMIT was lost, and group commit writes it once more.
        """
        held = (id_ for id_, lease in self.leases.items() if lease.owner == owner and lease.until > self.now)
        return next((self.transactions[id_] for id_ in held), None)


def lock_payments(connection: Connection, keys: Iterable[Key]) -> dict[Key, Locked]:
    """Locks payments in the order of their keys, so that no two batches wait for each other."""
    wanted = dumps([{"merchant_id": merchant, "id": payment} for merchant, payment in sorted(set(keys))])
    found = read(connection, _LOCK, {"keys": wanted}).mappings()
    if not found:
        return {}
    now: datetime = found[0]["now"]
    payments = {(UUID(row["payment"]["merchant_id"]), UUID(row["payment"]["id"])): row["payment"] for row in found}
    decisions: dict[Key, Mapping[str, Any]] = {}
    transactions: dict[Key, dict[UUID, Transaction]] = {key: {} for key in payments}
    leases: dict[Key, dict[UUID, Lease]] = {key: {} for key in payments}
    held = dumps([{"merchant_id": merchant, "id": payment} for merchant, payment in payments])
    for row in read(connection, _HANGING, {"keys": held}).mappings():
        key = (row["merchant_id"], row["payment_id"])
        if row["decision"] is not None:
            decisions[key] = row["decision"]
        else:
            transaction = read_transaction(row["transaction"])
            transactions[key][transaction.id] = transaction
            leases[key][transaction.id] = _lease(row["transaction"])
    return {
        key: Locked(read_payment({**row, "fraud": decisions.get(key)}), transactions[key], leases[key], now)
        for key, row in payments.items()
    }


def _lease(row: Mapping[str, Any]) -> Lease:
    owner = None if row["owner"] is None else UUID(row["owner"])
    return Lease(owner, datetime.fromisoformat(row["lease_until"]))


def explain_absent(
    connection: Connection, keys: Iterable[Key], locked: Mapping[Key, Locked]
) -> dict[Key, KassaError | Postponed]:
    """Tells payments that do not exist from those that somebody else holds locked, which come again."""
    absent = set(keys) - locked.keys()
    if not absent:
        return {}
    wanted = dumps([{"merchant_id": merchant, "id": payment} for merchant, payment in absent])
    known = set(read(connection, _KNOWN, {"keys": wanted}).rows)
    missing = KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment.")
    return {key: POSTPONED if key in known else missing for key in absent}
