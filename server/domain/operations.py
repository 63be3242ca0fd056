"""What a merchant may ask of a payment now; read under the payment's row lock by `storage`."""

from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, Transaction, TransactionType
from server.domain.states import MAY_OPEN

SLOT_TYPES = frozenset({TransactionType.AUTHORIZATION, TransactionType.CAPTURE, TransactionType.VOID})
"""Of these, one at a time may be under way on a payment. Refunds reserve their amount instead."""


def holds_slot(transaction: Transaction) -> bool:
    """Whether an open transaction keeps others out; an authorization that waits for its customer does not."""
    if transaction.type is TransactionType.AUTHORIZATION:
        return not transaction.waiting
    return transaction.type in SLOT_TYPES


def check_operation(payment: Payment, kind: TransactionType, amount: int | None, under_way: list[Transaction]) -> int:
    """Decides whether an operation may begin, and returns its amount in minor units.

    Args:
        payment: As it stands, locked.
        kind: CAPTURE, VOID, REFUND, or AUTHORIZATION for a confirmation.
        amount: Minor units; None means all there is.
        under_way: The payment's open transactions.

    Raises:
        KassaError: OPERATION_IN_PROGRESS, PAYMENT_STATE_INVALID, PAYMENT_DISPUTED, CAPTURE_EXCEEDS_AUTHORIZED or
            REFUND_EXCEEDS_CAPTURED.
    """
    if kind in SLOT_TYPES:
        check_idle(payment, under_way)
    if payment.state not in MAY_OPEN[kind]:
        allowed = ", ".join(sorted(state.value for state in MAY_OPEN[kind]))
        raise KassaError(
            Reason.PAYMENT_STATE_INVALID,
            f"The payment is {payment.state.value}; this needs it to be {allowed}.",
            metadata={"payment_state": payment.state.value, "allowed_states": allowed},
        )
    if kind is TransactionType.CAPTURE:
        return _check_capture(payment, amount)
    if kind is TransactionType.REFUND:
        return _check_refund(payment, amount)
    return payment.amount


def check_idle(payment: Payment, under_way: list[Transaction]) -> None:
    """Lets pass where no operation holds the payment's slot.

    Raises:
        KassaError: OPERATION_IN_PROGRESS.
    """
    if any(holds_slot(other) for other in under_way):
        raise KassaError(
            Reason.OPERATION_IN_PROGRESS,
            "Another operation on this payment is under way. Read the payment, then try again.",
            metadata={"payment_state": payment.state.value},
        )


def _check_capture(payment: Payment, amount: int | None) -> int:
    wanted = payment.amount_authorized if amount is None else amount
    if wanted > payment.amount_authorized:
        raise KassaError(
            Reason.CAPTURE_EXCEEDS_AUTHORIZED,
            f"Only {payment.amount_authorized} {payment.currency} (minor units) are authorized.",
            metadata={"amount": str(wanted), "amount_authorized": str(payment.amount_authorized)},
            field="amount",
        )
    return wanted


def _check_refund(payment: Payment, amount: int | None) -> int:
    if payment.amount_disputed > 0:
        raise KassaError(
            Reason.PAYMENT_DISPUTED,
            "The customer has disputed the payment; a refund would pay them twice. The dispute decides.",
            metadata={"amount_disputed": str(payment.amount_disputed)},
        )
    rest = payment.amount_captured - payment.amount_refunded - payment.amount_refunding
    wanted = rest if amount is None else amount
    if wanted > rest or wanted <= 0:
        raise KassaError(
            Reason.REFUND_EXCEEDS_CAPTURED,
            f"Only {rest} {payment.currency} (minor units) are left to refund.",
            metadata={"amount": str(wanted), "amount_refundable": str(rest)},
            field="amount",
        )
    return wanted
