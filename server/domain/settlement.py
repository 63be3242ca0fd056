"""The one place where an outcome meets a payment: a pure function from what stands and what was found to what follows.

Called by `storage.settle` under the row locks of the payment and its transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.ids import new_id
from server.domain.ledger import Journal, capture_journal, refund_failed_journal, refund_journal
from server.domain.outcome import (
    ActionRequired,
    Approved,
    Cancelled,
    Declined,
    Finding,
    NotSent,
    Pending,
    Rejected,
    Unknown,
)
from server.domain.payment import (
    OPEN_TRANSACTION_STATES,
    CardSummary,
    FraudOutcome,
    Payment,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.domain.states import Event, next_state


class AmountMismatch(Exception):
    """The processor speaks of another amount or currency than we asked for; nothing is settled, a person must look."""


class Contradiction(Exception):
    """The transaction is closed and the processor now says otherwise; its fact is recorded and put right."""


_HELD = frozenset({State.AUTHORIZED, State.IN_REVIEW})

Known = Approved | Declined | ActionRequired | Pending | Cancelled | NotSent | Rejected
"""Every finding but the lost answer."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What follows from a finding. Whoever stores it stores all of it, in one transaction.

    Attributes:
        payment: As it shall stand.
        transaction: As it shall stand.
        journals: To be booked.
        event: Type of the merchant's event (`payment.completed`), or empty where nothing is told.
        closes_authorization: The waiting authorization of the payment ends as CANCELLED too.
        release_key: The idempotency key is free again: nothing was sent.
        attention: What people must know of it, or empty.
    """

    payment: Payment
    transaction: Transaction
    journals: tuple[Journal, ...] = ()
    event: str = ""
    closes_authorization: bool = False
    release_key: bool = False
    attention: str = ""

    @property
    def final(self) -> bool:
        """Whether the transaction is over, so that its idempotent answer is, too."""
        return self.transaction.state not in OPEN_TRANSACTION_STATES


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
        return _settle_closed(payment, transaction, finding)
    if isinstance(finding, Unknown):
        if transaction.waiting:
            return None  # somebody has asked since, and knows more than this lost answer
        return Settlement(payment, replace(transaction, state=TransactionState.UNKNOWN, waiting=False))
    if "compensates" in transaction.detail:
        return _settle_compensation(payment, transaction, finding)
    return _SETTLE[transaction.type](payment, transaction, finding)


def _check_amount(transaction: Transaction, finding: Finding) -> None:
    """A void moves no money, so only the others are held to their amount."""
    if not isinstance(finding, Approved) or transaction.type is TransactionType.VOID:
        return
    asked, got = (transaction.amount, transaction.currency), (finding.amount, finding.currency)
    if asked != got:
        raise AmountMismatch(f"asked for {asked[0]} {asked[1]}, the processor says {got[0]} {got[1]}")


def _settle_closed(payment: Payment, transaction: Transaction, finding: Finding) -> Settlement | None:
    """Compares a finding with a transaction that is over here. What the processor says is a fact and is recorded."""
    match finding:
        case Unknown() | NotSent() | Rejected() | Pending() | ActionRequired():
            return None  # nothing that could contradict what is settled
        case Approved():
            return _closed_and_approved(payment, transaction, finding)
        case Declined() | Cancelled():
            return _closed_and_refused(payment, transaction, finding)
        case _:
            assert_never(finding)


def _closed_and_approved(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement | None:
    if transaction.state is not TransactionState.COMPLETED:
        return _approved_after_all(payment, transaction, finding)
    is_authorization = transaction.type is TransactionType.AUTHORIZATION
    if is_authorization and finding.captured and payment.state in _HELD:
        return _captured_elsewhere(payment, transaction, finding)
    return None


def _closed_and_refused(payment: Payment, transaction: Transaction, finding: Declined | Cancelled) -> Settlement | None:
    kind = transaction.type
    if transaction.state is not TransactionState.COMPLETED or kind is TransactionType.VOID:
        return None
    if kind is TransactionType.REFUND and isinstance(finding, Declined):
        return _reverse_refund(payment, transaction, finding.failure)
    if kind is TransactionType.AUTHORIZATION and isinstance(finding, Cancelled):
        return _voided_elsewhere(payment, transaction)
    raise Contradiction(f"{kind.value} is COMPLETED, and the processor says {type(finding).__name__}")


def _approved_after_all(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement:
    """A capture or refund that we hold for failed has happened; an authorization is given back (`compensation`)."""
    told = f"the {transaction.type.value.lower()} had been settled as {transaction.state.value}, and was done after all"
    if transaction.type is TransactionType.REFUND:
        moved = refunded(payment, transaction.amount)
        journal = refund_journal(transaction.amount, transaction.currency)
        return Settlement(moved, _completed(transaction, finding), (journal,), "refund.completed", attention=told)
    if transaction.type is TransactionType.CAPTURE and payment.state in _HELD:
        settlement = _settle_capture(payment, replace(transaction, failure=None), finding)
        assert settlement is not None, "an approved capture settles"
        return replace(settlement, attention=told)
    raise Contradiction(f"{transaction.type.value} is {transaction.state.value}, and the processor says Approved")


def _captured_elsewhere(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement:
    moved = replace(
        payment,
        state=next_state(payment.state, Event.CAPTURED),
        amount_captured=finding.amount,
        processor_capture_id=finding.processor_transaction_id,
    )
    journal = capture_journal(finding.amount, finding.currency)
    told = "captured at the processor, not through Kassa"
    return Settlement(moved, transaction, (journal,), "payment.completed", attention=told)


def _voided_elsewhere(payment: Payment, transaction: Transaction) -> Settlement | None:
    """A hold that was captured or voided through us may be reported as cancelled, too: its own transaction tells."""
    if payment.state not in _HELD:
        return None
    moved = replace(payment, state=next_state(payment.state, Event.CANCELLED))
    told = "voided or expired at the processor, not through Kassa"
    return Settlement(moved, transaction, event="payment.cancelled", attention=told)


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


def _failed(transaction: Transaction, finding: Declined | Rejected | NotSent) -> Transaction:
    object_id = finding.processor_transaction_id if isinstance(finding, Declined) else ""
    return replace(
        transaction,
        state=TransactionState.FAILED,
        failure=failure_of(finding),
        waiting=False,
        processor_transaction_id=object_id or transaction.processor_transaction_id,
    )


def _completed(transaction: Transaction, finding: Approved) -> Transaction:
    return replace(
        transaction,
        state=TransactionState.COMPLETED,
        waiting=False,
        processor_transaction_id=finding.processor_transaction_id,
    )


def _settle_authorization(payment: Payment, transaction: Transaction, finding: Known) -> Settlement:
    match finding:
        case Approved():
            return _authorized(payment, transaction, finding)
        case ActionRequired(processor_payment_id=object_id, redirect_url=url):
            return _waits(payment, transaction, object_id, url)
        case Pending(processor_payment_id=object_id):
            return _waits(payment, transaction, object_id, "")
        case Cancelled():
            moved = replace(payment, state=next_state(payment.state, Event.CANCELLED), redirect_url="")
            closed = replace(transaction, state=TransactionState.CANCELLED, waiting=False)
            return Settlement(moved, closed, event="payment.cancelled")
        case Declined() | Rejected() | NotSent():
            object_id = finding.processor_payment_id if isinstance(finding, Declined) else ""
            moved = replace(
                payment,
                state=next_state(payment.state, Event.DECLINED),
                failure=failure_of(finding),
                redirect_url="",
                processor_payment_id=object_id or payment.processor_payment_id,
            )
            unsent = isinstance(finding, NotSent)
            return Settlement(moved, _failed(transaction, finding), event="payment.failed", release_key=unsent)
        case _:
            assert_never(finding)


def _authorized(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement:
    in_review = payment.fraud is not None and payment.fraud.outcome is FraudOutcome.REVIEW
    held = Event.HELD_FOR_REVIEW if in_review else Event.AUTHORIZED
    event = Event.CAPTURED if finding.captured else held
    moved = replace(
        payment,
        state=next_state(payment.state, event),
        amount_authorized=finding.amount,
        amount_captured=finding.amount if finding.captured else 0,
        redirect_url="",
        processor_payment_id=finding.processor_payment_id,
        processor_authorization_id=finding.processor_transaction_id,
        processor_capture_id=finding.processor_transaction_id if finding.captured else "",
        card=_card(payment.card, finding),
    )
    journals = (capture_journal(finding.amount, finding.currency),) if finding.captured else ()
    return Settlement(moved, _completed(transaction, finding), journals, f"payment.{moved.state.value.lower()}")


def _card(known: CardSummary | None, finding: Approved) -> CardSummary | None:
    """Keeps what the merchant gave; a token's card is known only from the processor."""
    if known is not None or not finding.card_last4:
        return known
    return CardSummary(finding.card_brand, finding.card_last4, finding.card_exp_month, finding.card_exp_year)


def _waits(payment: Payment, transaction: Transaction, object_id: str, redirect_url: str) -> Settlement:
    moved = replace(
        payment,
        state=next_state(payment.state, Event.WAITS),
        processor_payment_id=object_id,
        redirect_url=redirect_url,
    )
    told = "" if payment.state is State.PENDING else "payment.pending"
    return Settlement(moved, replace(transaction, state=TransactionState.PENDING, waiting=True), event=told)


def _settle_capture(payment: Payment, transaction: Transaction, finding: Known) -> Settlement | None:
    match finding:
        case Approved():
            moved = replace(
                payment,
                state=next_state(payment.state, Event.CAPTURED),
                amount_captured=finding.amount,
                processor_capture_id=finding.processor_transaction_id,
            )
            journal = capture_journal(finding.amount, finding.currency)
            return Settlement(moved, _completed(transaction, finding), (journal,), "payment.completed")
        case Pending() | ActionRequired():
            return _still_pending(payment, transaction)
        case Cancelled():
            moved = replace(payment, state=next_state(payment.state, Event.CANCELLED))
            closed = replace(transaction, state=TransactionState.CANCELLED, waiting=False)
            return Settlement(moved, closed, event="payment.cancelled")
        case Declined() | Rejected() | NotSent():
            return Settlement(payment, _failed(transaction, finding), release_key=isinstance(finding, NotSent))
        case _:
            assert_never(finding)


def _settle_void(payment: Payment, transaction: Transaction, finding: Known) -> Settlement | None:
    match finding:
        case Approved() | Cancelled():
            moved = replace(payment, state=next_state(payment.state, Event.CANCELLED), redirect_url="")
            closed = replace(transaction, state=TransactionState.COMPLETED, waiting=False)
            return Settlement(moved, closed, event="payment.cancelled", closes_authorization=True)
        case Pending() | ActionRequired():
            return _still_pending(payment, transaction)
        case Declined() | Rejected() | NotSent():
            return Settlement(payment, _failed(transaction, finding), release_key=isinstance(finding, NotSent))
        case _:
            assert_never(finding)


def _settle_refund(payment: Payment, transaction: Transaction, finding: Known) -> Settlement | None:
    released = replace(payment, amount_refunding=payment.amount_refunding - transaction.amount)
    match finding:
        case Approved():
            moved = refunded(released, transaction.amount)
            journal = refund_journal(transaction.amount, transaction.currency)
            return Settlement(moved, _completed(transaction, finding), (journal,), "refund.completed")
        case Pending(processor_transaction_id=object_id):
            known = replace(transaction, processor_transaction_id=object_id or transaction.processor_transaction_id)
            return _still_pending(payment, known)
        case ActionRequired():
            return _still_pending(payment, transaction)
        case Cancelled():
            closed = replace(transaction, state=TransactionState.CANCELLED, waiting=False)
            return Settlement(released, closed, event="refund.failed")
        case Declined() | Rejected() | NotSent():
            unsent = isinstance(finding, NotSent)
            return Settlement(released, _failed(transaction, finding), event="refund.failed", release_key=unsent)
        case _:
            assert_never(finding)


def refunded(payment: Payment, amount: int) -> Payment:
    """Adds a refund (minor units) that has happened at the processor, within our limit or not."""
    total = payment.amount_refunded + amount
    event = Event.REFUNDED_IN_FULL if total >= payment.amount_captured else Event.REFUNDED_IN_PART
    beyond = payment.beyond_limit or total + payment.amount_refunding > payment.amount_captured
    return replace(payment, amount_refunded=total, beyond_limit=beyond, state=next_state(payment.state, event))


def _reverse_refund(payment: Payment, transaction: Transaction, failure: Failure) -> Settlement:
    moved = replace(
        payment,
        state=next_state(payment.state, Event.REFUND_REVERSED),
        amount_refunded=payment.amount_refunded - transaction.amount,
    )
    journal = refund_failed_journal(transaction.amount, transaction.currency)
    failed = replace(transaction, state=TransactionState.FAILED, failure=failure)
    return Settlement(moved, failed, (journal,), "refund.failed")


def _still_pending(payment: Payment, transaction: Transaction) -> Settlement:
    """The processor has it; whoever holds the lease lets go, and recovery asks again later."""
    return Settlement(payment, replace(transaction, state=TransactionState.PENDING, waiting=True))


def compensation(payment: Payment, transaction: Transaction, finding: Finding, now: datetime) -> Transaction | None:
    """Returns the void or refund that puts right an authorization which we hold for failed and the processor approved.

    None where there is nothing to give back. Recovery sends it; the payment stays as it is.
    """
    if transaction.type is not TransactionType.AUTHORIZATION or not isinstance(finding, Approved):
        return None
    return replace(
        transaction,
        id=new_id(),
        type=TransactionType.REFUND if finding.captured else TransactionType.VOID,
        state=TransactionState.PENDING,
        processor_transaction_id="",
        failure=None,
        attempts=0,
        idempotency_keys=(),
        created_at=now,
        updated_at=now,
        detail={
            "compensates": str(transaction.id),
            "processor_payment_id": finding.processor_payment_id,
            "object_id": finding.processor_transaction_id,
        },
    )


def _settle_compensation(payment: Payment, transaction: Transaction, finding: Known) -> Settlement:
    """The payment stays FAILED or CANCELLED; money that came and went back is explained by two journals."""
    match finding:
        case Approved() | Cancelled():
            went = transaction.type is TransactionType.REFUND
            amount, currency = transaction.amount, transaction.currency
            journals = (capture_journal(amount, currency), refund_journal(amount, currency)) if went else ()
            object_id = finding.processor_transaction_id if isinstance(finding, Approved) else ""
            done = replace(transaction, state=TransactionState.COMPLETED, processor_transaction_id=object_id)
            return Settlement(payment, replace(done, waiting=False), journals)
        case Pending() | ActionRequired() | NotSent() | Rejected() | Declined():
            # The customer's money is still out there: it is asked for again until it is back.
            told = "the processor declines to give back what it approved" if isinstance(finding, Declined) else ""
            unsettled = replace(transaction, state=TransactionState.UNKNOWN, waiting=False)
            return Settlement(payment, unsettled, attention=told)
        case _:
            assert_never(finding)


_SETTLE: Mapping[TransactionType, Callable[[Payment, Transaction, Known], Settlement | None]] = {
    TransactionType.AUTHORIZATION: _settle_authorization,
    TransactionType.CAPTURE: _settle_capture,
    TransactionType.VOID: _settle_void,
    TransactionType.REFUND: _settle_refund,
}
"""Chargebacks and disputes are done to us, never asked of a processor, so nothing of theirs is ever open."""
