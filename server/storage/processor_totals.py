"""What our books say of payments that their processor can be asked about. Read by `usecases.compare_processor`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from server.storage.locking import Key

# What was given back against the books stands in no payment, but at the processor it was captured and refunded.
_BOOKED = """
    SELECT p.merchant_id, p.id AS payment_id, t.id AS authorization_id, p.processor, p.processor_account_id,
        p.processor_payment_id, p.currency, p.amount_captured + o.given_back AS captured,
        p.amount_refunded + o.given_back AS refunded, o.under_way
    FROM transactions t JOIN payments p ON p.merchant_id = t.merchant_id AND p.id = t.payment_id
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(c.amount) FILTER (
                WHERE jsonb_exists(c.detail, 'compensates') AND c.type = 'REFUND' AND c.state = 'COMPLETED'), 0)::bigint
                AS given_back,
            COALESCE(bool_or(c.state IN ('PENDING', 'UNKNOWN') AND c.type <> 'DISPUTE'), false) AS under_way
        FROM transactions c WHERE c.merchant_id = p.merchant_id AND c.payment_id = p.id) AS o
    WHERE t.type = 'AUTHORIZATION'
"""
_ONE = text(f"{_BOOKED} AND t.merchant_id = :merchant_id AND t.payment_id = :payment_id")
_AFTER = f"{_BOOKED} AND t.id > :after AND t.id < :before ORDER BY t.id"
_NEWEST, _OLDEST = text(f"{_AFTER} DESC LIMIT :size"), text(f"{_AFTER} LIMIT :size")
_VERSION_BITS = 0x7 << 76
_TIME_SHIFT = 80
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BookedTotals:
    """What the processor should say of a payment, minor units.

    Attributes:
        processor_payment_id: Empty where the processor knows nothing of the payment.
        under_way: Something is being asked of the processor, so that the amounts may differ for now.
    """

    merchant_id: UUID
    payment_id: UUID
    authorization_id: UUID
    processor: str
    processor_account_id: UUID
    processor_payment_id: str
    currency: str
    captured: int
    refunded: int
    under_way: bool

    @property
    def key(self) -> Key:
        """The payment."""
        return self.merchant_id, self.payment_id

    @property
    def comparable(self) -> bool:
        """Whether its processor can be asked now."""
        return self.processor_payment_id != "" and not self.under_way


def newest_booked(connection: Connection, after: UUID, before: UUID, size: int) -> list[BookedTotals]:
    """Returns payments between two positions, newest first."""
    return _read(connection, _NEWEST, after, before, size)


def oldest_booked(connection: Connection, after: UUID, before: UUID, size: int) -> list[BookedTotals]:
    """Returns payments between two positions, oldest first."""
    return _read(connection, _OLDEST, after, before, size)


def booked_totals(connection: Connection, merchant_id: UUID, payment_id: UUID) -> BookedTotals:
    """Returns what stands of one payment now."""
    values = {"merchant_id": merchant_id, "payment_id": payment_id}
    return BookedTotals(**connection.execute(_ONE, values).mappings().one())


def position_of(moment: datetime) -> UUID:
    """Returns the first id (UUIDv7) that could have been made at a time: https://www.rfc-editor.org/rfc/rfc9562"""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << _TIME_SHIFT | _VERSION_BITS)


def _read(connection: Connection, statement: TextClause, after: UUID, before: UUID, size: int) -> list[BookedTotals]:
    rows = connection.execute(statement, {"after": after, "before": before, "size": size}).mappings()
    return [BookedTotals(**row) for row in rows]
