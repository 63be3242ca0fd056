"""Fees that come later: captures whose fee is not known yet, and its booking. Called by `settle` and the jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.attention import AttentionKind
from server.domain.consequence import Settlement
from server.domain.errors import KassaError
from server.domain.fee import Fee
from server.domain.ledger import JournalKind, fee_journals
from server.storage.attention import AttentionOver, close_attention
from server.storage.engine import dumps
from server.storage.group_commit import Postponed
from server.storage.ledger import Booking, write_journals
from server.storage.locking import Key, explain_absent, lock_payments
from server.storage.prepared import Writes, prepared
from server.storage.rows import Row

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 3, 6 * 3600

_INSERT = prepared("""
    INSERT INTO fees_due (merchant_id, transaction_id, payment_id, processor_payment_id, capture_id, attempts,
                          created_at, next_attempt_at)
    SELECT merchant_id, transaction_id, payment_id, processor_payment_id, capture_id, 0, now(),
           now() + CAST(:pause_s AS numeric) * interval '1 second'
    FROM jsonb_populate_recordset(NULL::fees_due, CAST(:rows AS jsonb))
    ON CONFLICT DO NOTHING
""")
# The pause begins when a row is taken, so that a worker which dies over it delays it and nothing else.
_TAKE = text("""
    UPDATE fees_due f
    SET attempts = f.attempts + 1,
        next_attempt_at = now() + LEAST(:first_s * 2 ^ LEAST(f.attempts + 1, 20), :longest_s) * interval '1 second'
    FROM (SELECT merchant_id, transaction_id FROM fees_due WHERE next_attempt_at <= now()
          ORDER BY next_attempt_at LIMIT :size FOR UPDATE SKIP LOCKED) q
    WHERE f.merchant_id = q.merchant_id AND f.transaction_id = q.transaction_id
    RETURNING f.merchant_id, f.payment_id, f.transaction_id, f.processor_payment_id, f.capture_id,
              now() - f.created_at AS age
""")
_DELETE = text("""
    DELETE FROM fees_due f USING jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, transaction_id uuid)
    WHERE f.merchant_id = q.merchant_id AND f.transaction_id = q.transaction_id
""")


@dataclass(frozen=True, slots=True)
class FeeDue:
    """A capture whose fee is to be asked for; `age` is the time since it was settled."""

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    processor_payment_id: str
    capture_id: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class BookFees:
    """Fees of a transaction, as its processor tells them; whatever is booked already is left out."""

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    fees: tuple[Fee, ...]

    @property
    def key(self) -> Key:
        """The payment they belong to."""
        return self.merchant_id, self.payment_id


def insert_fees_due(writes: Writes, settlements: Sequence[Settlement]) -> None:
    """Remembers captures whose processor has not said yet what it keeps."""
    if settlements:
        rows = dumps([_due(one) for one in settlements])
        writes.execute(_INSERT, {"rows": rows, "pause_s": _FIRST_PAUSE_S})


def _due(settlement: Settlement) -> Row:
    payment, transaction = settlement.payment, settlement.transaction
    captures = [journal.reference for journal in settlement.journals if journal.kind is JournalKind.CAPTURE]
    assert captures, "a fee is due of what was captured"
    return {
        "merchant_id": payment.merchant_id,
        "transaction_id": transaction.id,
        "payment_id": payment.id,
        # Money that came to a payment which had failed here belongs to an object that the payment may not know.
        "processor_payment_id": transaction.detail.get("processor_payment_id", payment.processor_payment_id),
        "capture_id": captures[0],
    }


@durable
def take_fees_due(connection: Connection, size: int) -> list[FeeDue]:
    """Returns captures whose fee is to be asked for now, and puts them off for longer each time."""
    values = {"size": size, "first_s": _FIRST_PAUSE_S, "longest_s": _LONGEST_PAUSE_S}
    return [FeeDue(**row) for row in connection.execute(_TAKE, values).mappings()]


@durable
def book_fees(connection: Connection, rows: Sequence[BookFees]) -> list[bool | KassaError | Postponed]:
    """Books fees that were told after their transaction had settled; they are not due any more."""
    keys = [row.key for row in rows]
    locked = lock_payments(connection, keys)
    absent = explain_absent(connection, keys, locked)
    present = [row for row in rows if row.key not in absent]
    write_journals(
        connection,
        [
            Booking(journal, locked[row.key].transactions[row.transaction_id])
            for row in present
            for journal in fee_journals(*row.fees)
        ],
    )
    known = [{"merchant_id": row.merchant_id, "transaction_id": row.transaction_id} for row in present]
    connection.execute(_DELETE, {"keys": dumps(known)})
    kind, note = AttentionKind.FEE_UNKNOWN, "the processor has told the fee"
    close_attention(connection, [AttentionOver(row.merchant_id, row.transaction_id, kind, note) for row in present])
    return [absent.get(row.key, True) for row in rows]
