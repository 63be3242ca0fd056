"""All that is known of one payment, for whoever looks into a finding; `season` adds it to the report."""

from collections.abc import Iterator
from uuid import UUID

from sandbox.simulator.oracle import Case
from server.domain.ids import Prefix, render_id


def dossier(case: Case, payment_id: str) -> list[str]:
    """Returns a payment's rows on both sides, and what its clients were told; empty for what is no payment."""
    payment = case.payments.get(payment_id)
    if payment is None:
        return []
    return [str(line) for line in _lines(case, payment_id)]


def _lines(case: Case, payment_id: str) -> Iterator[object]:
    evidence, books = case.evidence, case.books.get(payment_id, [])
    yield case.payments[payment_id]
    yield from case.transactions.get(payment_id, [])
    yield from (row for row in evidence.booked if row.payment_id == payment_id)
    yield from (row for row in evidence.events if row.payment_id == payment_id)
    yield from (row for row in evidence.attention if row.payment_id == payment_id)
    yield from books
    names = {entry.id for entry in books} | {one.id for entry in books for one in entry.refunds}
    yield from (row for row in evidence.webhooks if names & {row.payment_object, row.object_id})
    shown = render_id(Prefix.PAYMENT, UUID(payment_id))
    keys = {row.key for row in evidence.keys if row.payment_id == payment_id}
    yield from (call for call in case.calls if call.payment == shown or call.key in keys)
