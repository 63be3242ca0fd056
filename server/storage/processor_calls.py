"""The processor_calls table: written in the batch that settles what the calls were about. Called by `settle`."""

from collections.abc import Iterable
from uuid import UUID

from server.domain.payment import Payment
from server.domain.processor_call import ProcessorCall
from server.storage.engine import dumps
from server.storage.prepared import Writes, prepared
from server.storage.rows import insert

_COLUMNS = (
    "merchant_id", "payment_id", "id", "transaction_id", "processor", "processor_account_id", "operation",
    "idempotency_key", "request", "status", "response", "error", "processor_request_id", "started_at", "duration_us",
)  # fmt: skip
# A record never stands in the way of money, so not even a repeated id may fail the batch.
_INSERT = prepared(insert("processor_calls", _COLUMNS) + " ON CONFLICT DO NOTHING")

Made = tuple[Payment, UUID | None, tuple[ProcessorCall, ...]]
"""Calls about a payment, and the transaction that they were made for, where it is one of ours."""


def insert_calls(writes: Writes, made: Iterable[Made]) -> None:
    """Stores calls, all of a batch by one statement; by none where there are none."""
    rows = [
        {"merchant_id": payment.merchant_id, "payment_id": payment.id, "id": call.id, "transaction_id": transaction_id,
         "processor": payment.processor, "processor_account_id": payment.processor_account_id,
         "operation": call.operation, "idempotency_key": call.idempotency_key, "request": call.request,
         "status": call.status, "response": call.response, "error": call.error,
         "processor_request_id": call.processor_request_id, "started_at": call.started_at,
         "duration_us": call.duration_us}
        for payment, transaction_id, calls in made
        for call in calls
    ]  # fmt: skip
    if rows:
        writes.execute(_INSERT, {"rows": dumps(rows)})
