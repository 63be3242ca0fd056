"""Refunds that somebody made in the processor's own dashboard: facts, booked even where they break our limit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.attention import AttentionKind
from server.domain.consequence import Settlement, refunded
from server.domain.errors import KassaError
from server.domain.fee import Fee
from server.domain.ids import new_id
from server.domain.ledger import fee_journals, refund_journal
from server.domain.payment import Payment, Transaction, TransactionState, TransactionType
from server.domain.processor_call import ProcessorCall
from server.domain.states import ImpossibleTransition
from server.storage.attention import Attention, insert_attention
from server.storage.group_commit import Postponed
from server.storage.locking import Locked, explain_absent, lock_payments
from server.storage.open_payments import insert_transactions, leased_row
from server.storage.processor_calls import insert_calls
from server.storage.settle import write_books

_CLAIM_OBJECT = text("""
    INSERT INTO processor_objects (account_id, object_id, merchant_id, payment_id, transaction_id)
    VALUES (:account_id, :object_id, :merchant_id, :payment_id, :transaction_id)
    ON CONFLICT DO NOTHING RETURNING object_id
""")


@dataclass(frozen=True, slots=True)
class ExternalRefund:
    """A refund as the processor tells it, what it keeps of it, and the calls that told; amount in minor units."""

    merchant_id: UUID
    payment_id: UUID
    processor_transaction_id: str
    amount: int
    currency: str
    fee: Fee | None = None
    calls: tuple[ProcessorCall, ...] = ()


@durable
def book_refunds(connection: Connection, rows: Sequence[ExternalRefund]) -> list[bool | KassaError | Postponed]:
    """Books each refund once, by the processor's id of it, and opens an attention item for people."""
    keys = [(row.merchant_id, row.payment_id) for row in rows]
    locked = lock_payments(connection, keys)
    absent = explain_absent(connection, keys, locked)
    told = [(locked[key].payment, None, row.calls) for key, row in zip(keys, rows, strict=True) if key in locked]
    insert_calls(connection, told)
    return [
        absent[key] if key in absent else _book(connection, row, locked[key])
        for key, row in zip(keys, rows, strict=True)
    ]


def _book(connection: Connection, row: ExternalRefund, locked: Locked) -> bool:
    payment = locked.payment
    transaction = Transaction(
        id=new_id(),
        merchant_id=payment.merchant_id,
        payment_id=payment.id,
        type=TransactionType.REFUND,
        state=TransactionState.COMPLETED,
        amount=row.amount,
        currency=row.currency,
        processor=payment.processor,
        processor_account_id=payment.processor_account_id,
        processor_transaction_id=row.processor_transaction_id,
        reason="",
        failure=None,
        waiting=False,
        attempts=0,
        idempotency_keys=(),
        created_at=locked.now,
        updated_at=locked.now,
        detail={"made_at": "processor"},
    )
    claim = {
        "account_id": payment.processor_account_id,
        "object_id": row.processor_transaction_id,
        "merchant_id": payment.merchant_id,
        "payment_id": payment.id,
        "transaction_id": transaction.id,
    }
    if connection.execute(_CLAIM_OBJECT, claim).first() is None:
        return False
    moved = replace(_refunded(payment, row.amount), updated_at=locked.now)
    insert_transactions(connection, [leased_row(transaction, transaction.id, 0)])
    journal = refund_journal(row.amount, row.currency, row.processor_transaction_id)
    journals = (journal, *fee_journals(row.fee))
    write_books(connection, [Settlement(moved, transaction, journals, "refund.completed")])
    message = f"refunded {row.amount} {row.currency} at the processor, not through Kassa"
    insert_attention(
        connection,
        [Attention(payment.merchant_id, payment.id, transaction.id, AttentionKind.EXTERNAL_REFUND, message)],
    )
    return True


def _refunded(payment: Payment, amount: int) -> Payment:
    """Adds the refund; one of a payment that never was captured here is a fact as well, and leaves its state."""
    try:
        return refunded(payment, amount)
    except ImpossibleTransition:
        return replace(payment, amount_refunded=payment.amount_refunded + amount, beyond_limit=True)
