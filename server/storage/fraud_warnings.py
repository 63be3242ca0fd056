"""Marks payments of which a card network warns. Called through group commit by `usecases.handle_event`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.errors import KassaError
from server.domain.payment import Payment, TransactionType
from server.domain.processor_call import ProcessorCall
from server.storage.engine import dumps
from server.storage.group_commit import Postponed
from server.storage.locking import Key, Locked, explain_absent, lock_payments
from server.storage.open_payments import INSERT_EVENTS, event_row
from server.storage.processor_calls import insert_calls
from server.storage.rows import Row, snapshot

EVENT = "payment.early_fraud_warning"
_MARK = text("""
    UPDATE payments p SET early_fraud_warning = true, updated_at = now()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(merchant_id uuid, id uuid)
    WHERE p.merchant_id = q.merchant_id AND p.id = q.id
""")


@dataclass(frozen=True, slots=True)
class WarnOfFraud:
    """A warning about a payment.

    Attributes:
        kind: The processor's own word for the fraud.
        calls: Those that it was read by; they are kept whatever it changes.
    """

    merchant_id: UUID
    payment_id: UUID
    kind: str
    calls: tuple[ProcessorCall, ...] = ()

    @property
    def key(self) -> Key:
        """The payment it is about."""
        return self.merchant_id, self.payment_id


@durable
def warn_of_fraud(connection: Connection, rows: Sequence[WarnOfFraud]) -> list[bool | KassaError | Postponed]:
    """Marks a batch, and tells each merchant once; False for a payment that is marked already."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    new = {row.key: row for row in rows if row.key in locked and not locked[row.key].payment.early_fraud_warning}
    if new:
        marked = [{"merchant_id": merchant_id, "id": payment_id} for merchant_id, payment_id in new]
        connection.execute(_MARK, {"rows": dumps(marked)})
        connection.execute(INSERT_EVENTS, {"rows": dumps([_event(locked[key], row) for key, row in new.items()])})
    insert_calls(connection, [(locked[r.key].payment, None, r.calls) for r in rows if r.key in locked])
    return [absent.get(row.key) or new.get(row.key) is row for row in rows]


def _event(locked: Locked, row: WarnOfFraud) -> Row:
    payment: Payment = replace(locked.payment, early_fraud_warning=True, updated_at=locked.now)
    first = next(one for one in locked.transactions.values() if one.type is TransactionType.AUTHORIZATION)
    return event_row(payment, first.id, EVENT, {"payment": snapshot(payment), "fraud_type": row.kind})
