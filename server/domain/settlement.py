"""The one place where an outcome meets a payment: a pure function from what stands and what was found to what follows.

Called by `storage.settle` under the row locks of the payment and its transaction.
"""

from dataclasses import replace

from server.domain.closed_settlement import compensation, settle_closed, settle_compensation
from server.domain.consequence import AmountMismatch, Contradiction, Settlement
from server.domain.open_settlement import SETTLE
from server.domain.outcome import Approved, Finding, NotSent, Rejected, Unknown
from server.domain.payment import OPEN_TRANSACTION_STATES, Payment, Transaction, TransactionState, TransactionType

__all__ = ["AmountMismatch", "Contradiction", "Settlement", "compensation", "settle"]


def settle(payment: Payment, transaction: Transaction, finding: Finding) -> Settlement | None:
    """Says what a finding does to a payment and its transaction; None where all of it stands already.

    Raises:
        AmountMismatch: The processor's amount or currency is not ours.
        Contradiction: The transaction is closed with another outcome.
        ImpossibleTransition: The payment's state does not allow what is said to have happened.
    """
    _check_amount(transaction, finding)
    if transaction.attempts > 0 and isinstance(finding, NotSent | Rejected):
        finding = Unknown()  # that this attempt did nothing says nothing of the earlier ones
    if transaction.state not in OPEN_TRANSACTION_STATES:
        return settle_closed(payment, transaction, finding)
    if isinstance(finding, Unknown):
        if transaction.waiting:
            return None  # somebody has asked since, and knows more than this lost answer
        return Settlement(payment, replace(transaction, state=TransactionState.UNKNOWN, waiting=False))
    if "compensates" in transaction.detail:
        return settle_compensation(payment, transaction, finding)
    return SETTLE[transaction.type](payment, transaction, finding)


def _check_amount(transaction: Transaction, finding: Finding) -> None:
    """A void moves no money, so only the others are held to their amount."""
    if not isinstance(finding, Approved) or transaction.type is TransactionType.VOID:
        return
    asked, got = (transaction.amount, transaction.currency), (finding.amount, finding.currency)
    if asked != got:
        raise AmountMismatch(f"asked for {asked[0]} {asked[1]}, the processor says {got[0]} {got[1]}")
