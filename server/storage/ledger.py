"""Writes journals, each fee once. Called by whatever settles, under the row locks of the payments that it is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.ledger import Journal, JournalKind
from server.domain.payment import Transaction
from server.storage.engine import dumps
from server.storage.rows import Row, columns

_COLUMNS = (
    "merchant_id", "id", "journal_id", "kind", "account", "amount", "currency", "payment_id", "transaction_id",
    "processor_reference",
)  # fmt: skip
# Entries carry the moment at which their transaction began: `storage.ledger_reads` relies on it.
_INSERT = text(f"""
    INSERT INTO ledger_entries ({columns(_COLUMNS)}, created_at)
    SELECT {columns(_COLUMNS)}, now() FROM jsonb_populate_recordset(NULL::ledger_entries, CAST(:rows AS jsonb))
""")
_BOOKED = text("""
    SELECT l.merchant_id, l.payment_id, l.processor_reference
    FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, payment_id uuid, reference text)
    -- One probe of `ledger_entries_fees` for each; left to itself, the planner reads that index whole while it is young.
    CROSS JOIN LATERAL (
        SELECT * FROM ledger_entries e
        WHERE e.merchant_id = q.merchant_id AND e.payment_id = q.payment_id
              AND e.processor_reference = q.reference AND e.kind = 'FEE' AND e.account = 'fees'
        LIMIT 1) AS l
""")

_FeeKey = tuple[UUID, UUID, str]
"""Merchant, payment and the processor's object that tells a fee."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A journal and the transaction to which its entries are traced."""

    journal: Journal
    transaction: Transaction

    @property
    def reference(self) -> str:
        """The processor's object that says so."""
        return self.journal.reference or self.transaction.processor_transaction_id

    @property
    def fee_key(self) -> _FeeKey:
        """By what a fee is known to be the same."""
        return self.transaction.merchant_id, self.transaction.payment_id, self.reference


def write_journals(connection: Connection, bookings: Sequence[Booking]) -> None:
    """Books journals in one statement, without the fees that are booked already under the same reference.

    The lock of each payment must be held: it keeps two who know of the same fee apart.
    """
    new = _without_known_fees(connection, bookings)
    rows = [row for booking in new for row in _rows(booking)]
    if rows:
        connection.execute(_INSERT, {"rows": dumps(rows)})


def _without_known_fees(connection: Connection, bookings: Sequence[Booking]) -> Iterable[Booking]:
    fees = {one.fee_key: one for one in bookings if one.journal.kind is JournalKind.FEE}
    if not fees:
        return bookings
    keys = [{"merchant_id": merchant, "payment_id": payment, "reference": name} for merchant, payment, name in fees]
    for row in connection.execute(_BOOKED, {"keys": dumps(keys)}):
        del fees[row.merchant_id, row.payment_id, row.processor_reference]
    others = (one for one in bookings if one.journal.kind is not JournalKind.FEE)
    return (*others, *fees.values())


def _rows(booking: Booking) -> list[Row]:
    transaction, journal = booking.transaction, booking.journal
    return [
        {
            "merchant_id": transaction.merchant_id,
            "id": entry.id,
            "journal_id": journal.id,
            "kind": journal.kind,
            "account": entry.account,
            "amount": entry.amount,
            "currency": entry.currency,
            "payment_id": transaction.payment_id,
            "transaction_id": transaction.id,
            "processor_reference": booking.reference,
        }
        for entry in journal.entries
    ]
