"""When payments that wait must be called off. Written by `settle`, read by the sweep and `usecases.expire_payment`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.attention import AttentionKind
from server.domain.expiry import waits
from server.domain.payment import TransactionType
from server.storage.attention import AttentionOver, close_attention
from server.storage.engine import dumps
from server.storage.locking import lock_payments
from server.storage.prepared import Writes, prepared

_WRITE = prepared("""
    INSERT INTO payment_deadlines (merchant_id, payment_id, expires_at, attempts, next_attempt_at)
    SELECT merchant_id, payment_id, expires_at, 0, expires_at
    FROM jsonb_populate_recordset(NULL::payment_deadlines, CAST(:rows AS jsonb))
    ON CONFLICT (merchant_id, payment_id) DO UPDATE
    SET expires_at = EXCLUDED.expires_at, attempts = 0, next_attempt_at = EXCLUDED.expires_at
    WHERE payment_deadlines.expires_at <> EXCLUDED.expires_at
""")
# To take one up is to postpone it: of two workers one gets it, and a worker that dies leaves it for later.
_TAKE = text("""
    UPDATE payment_deadlines d
    SET attempts = d.attempts + 1,
        next_attempt_at = now() + LEAST(:longest_s, :pause_s * 2.0 ^ LEAST(d.attempts, 12)) * interval '1 second'
    FROM (SELECT merchant_id, payment_id FROM payment_deadlines WHERE next_attempt_at < now()
          ORDER BY next_attempt_at LIMIT :size FOR UPDATE SKIP LOCKED) AS q
    WHERE d.merchant_id = q.merchant_id AND d.payment_id = q.payment_id
    RETURNING d.merchant_id, d.payment_id, d.expires_at
""")
_FORGET = text("DELETE FROM payment_deadlines WHERE merchant_id = :merchant_id AND payment_id = :payment_id")

PAUSE_S, LONGEST_PAUSE_S = 30.0, 6 * 3600.0
"""Seconds until a payment that could not be called off is looked at again; doubles with each attempt."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A payment that must have been captured or approved by a time, UTC."""

    merchant_id: UUID
    payment_id: UUID
    expires_at: datetime


def write_deadlines(writes: Writes, deadlines: Sequence[Deadline]) -> None:
    """Sets deadlines of locked payments; one that stands already keeps its attempts."""
    if deadlines:
        writes.execute(_WRITE, {"rows": dumps(deadlines)})


@durable
def take_deadlines(connection: Connection, size: int) -> list[Deadline]:
    """Returns at most `size` deadlines that are over; each is due again after a pause, unless it is forgotten."""
    values = {"size": size, "pause_s": PAUSE_S, "longest_s": LONGEST_PAUSE_S}
    return [Deadline(**row) for row in connection.execute(_TAKE, values).mappings()]


@durable
def forget_deadline(connection: Connection, merchant_id: UUID, payment_id: UUID) -> None:
    """Drops the deadline of a payment that has moved on, and what people were told of it.

    It stays where the payment waits again or is locked by somebody: whoever settles it may write it this moment.
    """
    locked = lock_payments(connection, [(merchant_id, payment_id)]).get((merchant_id, payment_id))
    if locked is None or waits(locked.payment):
        return
    connection.execute(_FORGET, {"merchant_id": merchant_id, "payment_id": payment_id})
    note = f"the payment is {locked.payment.state.value}"
    authorizations = [one for one in locked.transactions.values() if one.type is TransactionType.AUTHORIZATION]
    over = [AttentionOver(merchant_id, one.id, AttentionKind.NOT_CANCELLED, note) for one in authorizations]
    close_attention(connection, over)
