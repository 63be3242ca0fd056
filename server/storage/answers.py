"""The idempotent answer: what a repeat of a call is told, stored in the transaction that ends the first."""

from collections.abc import Mapping
from typing import Any

from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, Transaction, TransactionState, TransactionType
from server.domain.settlement import Settlement
from server.storage.rows import Row, read_payment, read_transaction, snapshot, transaction_row


def refusal_of(transaction: Transaction) -> KassaError:
    """Says why a capture or a void did not happen."""
    failure = transaction.failure
    metadata = {"transaction_type": transaction.type.value}
    if failure is not None:
        metadata |= {"failure_code": failure.code.value, "decline_code": failure.decline_code or ""}
    return KassaError(
        Reason.PROCESSOR_REFUSED,
        f"The processor refused the {transaction.type.value.lower()}; the payment is unchanged.",
        metadata=metadata,
    )


def answer_of(settlement: Settlement) -> Row:
    """Returns the final answer of the calls that a settlement ends."""
    transaction = settlement.transaction
    match transaction.type:
        case TransactionType.REFUND:
            return {"transaction": transaction_row(transaction)}
        case TransactionType.CAPTURE | TransactionType.VOID if transaction.state is not TransactionState.COMPLETED:
            return {"error": refusal_of(transaction).snapshot()}
        case _:
            return {"payment": snapshot(settlement.payment)}


def error_answer(error: KassaError) -> Row:
    """Returns the final answer of a call that was refused after its claim."""
    return {"error": error.snapshot()}


def read_answer(answer: Mapping[str, Any]) -> Payment | Transaction:
    """Reads a stored answer.

    Raises:
        KassaError: The answer is a refusal.
    """
    if "error" in answer:
        raise KassaError.restore(answer["error"])
    if "transaction" in answer:
        return read_transaction(answer["transaction"])
    return read_payment(answer["payment"])
