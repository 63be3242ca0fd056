"""Writes journals, each fee once. Called by whatever settles, under the row locks of the payments that it is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from server.domain.ledger import Journal, JournalKind
from server.domain.payment import Transaction
from server.storage.engine import dumps
from server.storage.prepared import Writes, prepared
from server.storage.rows import Row, columns

_COLUMNS = (
    "merchant_id", "id", "journal_id", "kind", "account", "amount", "currency", "payment_id", "transaction_id",
    "processor_reference",
)  # fmt: skip
# Entries carry the moment at which their transaction began: `storage.ledger_reads` relies on it. A fee that is booked
# already under the same reference is left out, both lines of it. OFFSET 0 keeps the planner from collecting all fees
# that there are into a hash table, for each batch anew, as it would like to while there are few.
_INSERT = prepared(f"""
    INSERT INTO ledger_entries ({columns(_COLUMNS)}, created_at)
    SELECT {columns(_COLUMNS)}, now() FROM jsonb_populate_recordset(NULL::ledger_entries, CAST(:rows AS jsonb)) AS q
    WHERE NOT (q.kind = 'FEE' AND EXISTS (
        SELECT FROM ledger_entries e
        WHERE e.merchant_id = q.merchant_id AND e.payment_id = q.payment_id
              AND e.processor_reference = q.processor_reference AND e.kind = 'FEE' AND e.account = 'fees'
        OFFSET 0))
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


def write_journals(writes: Writes, bookings: Sequence[Booking]) -> None:
    """Books journals in one statement, without the fees that are booked already under the same reference.

    The lock of each payment must be held: it keeps two who know of the same fee apart.
    """
    rows = [row for booking in _each_fee_once(bookings) for row in _rows(booking)]
    if rows:
        writes.execute(_INSERT, {"rows": dumps(rows)})


def _each_fee_once(bookings: Sequence[Booking]) -> Iterable[Booking]:
    fees = {one.fee_key: one for one in bookings if one.journal.kind is JournalKind.FEE}
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
