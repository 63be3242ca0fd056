"""What follows from a finding: the settlement, and the refusals to settle. Made by the settling modules beside this."""

from dataclasses import dataclass, replace
from typing import assert_never

from server.domain.attention import AttentionKind
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.ledger import Journal, capture_journal, fee_journals, refund_journal
from server.domain.outcome import (
    ActionRequired,
    Approved,
    Cancelled,
    Declined,
    NotSent,
    Pending,
    Rejected,
)
from server.domain.payment import OPEN_TRANSACTION_STATES, Payment, State, Transaction, TransactionState
from server.domain.states import Event, next_state

HELD = frozenset({State.AUTHORIZED, State.IN_REVIEW})

Known = Approved | Declined | ActionRequired | Pending | Cancelled | NotSent | Rejected
"""Every finding but the lost answer."""


class AmountMismatch(Exception):
    """The processor speaks of another amount or currency than we asked for; nothing is settled, a person must look."""


class Contradiction(Exception):
    """The transaction is closed and the processor now says otherwise; its fact is recorded and put right."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What follows from a finding. Whoever stores it stores all of it, in one transaction.

    Attributes:
        payment: As it shall stand.
        transaction: As it shall stand.
        journals: To be booked; of fees, those whose reference is not booked yet.
        fee_due: Of the capture among them, the processor has not said yet what it keeps.
        event: Type of the merchant's event (`payment.completed`), or empty where nothing is told.
        closes_authorization: The waiting authorization of the payment ends as CANCELLED too.
        release_key: The idempotency key is free again: nothing was sent.
        attention: What people must know of it, or empty; the same words whenever it is found again.
        attention_kind: As what it is shown to them.
    """

    payment: Payment
    transaction: Transaction
    journals: tuple[Journal, ...] = ()
    event: str = ""
    closes_authorization: bool = False
    release_key: bool = False
    attention: str = ""
    attention_kind: AttentionKind = AttentionKind.MADE_ELSEWHERE
    fee_due: bool = False

    @property
    def final(self) -> bool:
        """Whether the transaction is over, so that its idempotent answer is, too."""
        return self.transaction.state not in OPEN_TRANSACTION_STATES


def failure_of(finding: Declined | Rejected | NotSent) -> Failure:
    """Puts into one form why something did not happen."""
    match finding:
        case Declined(failure=failure):
            return failure
        case Rejected(code=code):
            return Failure(
                DeclineCode.PROCESSOR_REJECTED,
                "The processor refused the request; check the processor account's credentials and settings.",
                Advice.DO_NOT_RETRY,
                code,
            )
        case NotSent():
            return Failure(
                DeclineCode.PROCESSOR_UNAVAILABLE,
                "The processor could not be reached; nothing was charged. Try again.",
                Advice.RETRY_LATER,
            )
        case _:
            assert_never(finding)


def failed(transaction: Transaction, finding: Declined | Rejected | NotSent) -> Transaction:
    object_id = finding.processor_transaction_id if isinstance(finding, Declined) else ""
    return replace(
        transaction,
        state=TransactionState.FAILED,
        failure=failure_of(finding),
        waiting=False,
        processor_transaction_id=object_id or transaction.processor_transaction_id,
    )


def completed(transaction: Transaction, finding: Approved) -> Transaction:
    return replace(
        transaction,
        state=TransactionState.COMPLETED,
        waiting=False,
        processor_transaction_id=finding.processor_transaction_id,
    )


def capture_settlement(
    payment: Payment, transaction: Transaction, finding: Approved, event: str, attention: str = ""
) -> Settlement:
    """Books a capture, and what the processor kept of it where it says so already."""
    journal = capture_journal(finding.amount, finding.currency, finding.processor_transaction_id)
    journals, due = (journal, *fee_journals(finding.fee)), finding.fee is None
    return Settlement(payment, transaction, journals, event, attention=attention, fee_due=due)


def refund_settlement(payment: Payment, transaction: Transaction, finding: Approved, attention: str = "") -> Settlement:
    """Books a refund, and what the processor keeps of it or gives back for it."""
    journal = refund_journal(finding.amount, finding.currency, finding.processor_transaction_id)
    journals = (journal, *fee_journals(finding.fee))
    return Settlement(payment, transaction, journals, "refund.completed", attention=attention)


def refunded(payment: Payment, amount: int) -> Payment:
    """Adds a refund (minor units) that has happened at the processor, within our limit or not."""
    total = payment.amount_refunded + amount
    event = Event.REFUNDED_IN_FULL if total >= payment.amount_captured else Event.REFUNDED_IN_PART
    beyond = payment.beyond_limit or total + payment.amount_refunding > payment.amount_captured
    return replace(payment, amount_refunded=total, beyond_limit=beyond, state=next_state(payment.state, event))
