"""The one place where a reading of a dispute meets its payment: a pure function from what stands to what follows.

Called by `storage.settle_disputes` under the payment's row lock. It compares standings, so what came of a dispute
does not depend on which of its events arrived, how often, or in which order.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from server.domain.consequence import AmountMismatch
from server.domain.dispute import Dispute, DisputeStanding, DisputeState
from server.domain.dispute_answer import pending_answer, without_answer
from server.domain.ids import new_id
from server.domain.ledger import Journal, dispute_journals, fee_journals
from server.domain.payment import Payment, Transaction, TransactionState, TransactionType

_ENDS = {DisputeState.WON: "dispute.won", DisputeState.LOST: "dispute.lost", DisputeState.CLOSED: "dispute.closed"}


@dataclass(frozen=True, slots=True)
class KnownDispute:
    """A dispute with its transactions: the one of type DISPUTE, and its chargebacks, oldest first."""

    dispute: Dispute
    transaction: Transaction
    chargebacks: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class DisputeSettlement:
    """What follows from a reading. Whoever stores it stores all of it, in one transaction.

    Attributes:
        payment: As it shall stand.
        dispute: As it shall stand.
        transaction: The dispute's own. One that carries an answer stays with whoever sends that.
        chargebacks: Those that are new or have changed.
        journals: To be booked; a fee that is booked already is booked no second time.
        booked_by: The transaction that the journals' entries name.
        events: Types of the merchant's events, in their order.
        answered: The keys whose calls are answered with the dispute as it shall stand.
    """

    payment: Payment
    dispute: Dispute
    transaction: Transaction
    chargebacks: tuple[Transaction, ...]
    journals: tuple[Journal, ...]
    booked_by: Transaction
    events: tuple[str, ...]
    answered: tuple[str, ...]


def settle_dispute(
    payment: Payment, known: KnownDispute | None, standing: DisputeStanding, now: datetime, answered: str | None = None
) -> DisputeSettlement:
    """Says what a reading does to a payment and its dispute.

    Args:
        known: What stands, None for a dispute that is new.
        now: For what is made here, UTC.
        answered: The answer of that id, if the known transaction carries it, has reached the processor.

    Raises:
        AmountMismatch: The dispute is in another currency than the payment.
    """
    if standing.currency != payment.currency:
        raise AmountMismatch(f"the payment is in {payment.currency}, its dispute in {standing.currency}")
    before = None if known is None else known.dispute
    after = _moved(before or _new(payment, standing, now), standing)
    transaction = _new_transaction(after, now) if known is None else known.transaction
    answer = pending_answer(transaction)
    settles_answer = answer is not None and answer.id == answered
    if answer is not None and settles_answer:
        after = replace(after, evidence=answer.evidence, answered_at=now)
    changed = before is None or _shown(after) != _shown(before)
    if changed:
        after = replace(after, updated_at=now)
    taken, held = (0, 0) if before is None else (before.amount_withdrawn, before.amount_held)
    chargebacks = _chargebacks(after, taken, () if known is None else known.chargebacks, now)
    counted = 0 if before is None else before.amount_counted
    journals = dispute_journals(
        taken, held, after.amount_withdrawn, after.amount_held, after.currency, reference=after.processor_dispute_id
    )
    return DisputeSettlement(
        payment=replace(payment, amount_disputed=payment.amount_disputed - counted + after.amount_counted),
        dispute=after,
        transaction=transaction
        if answer is not None and not settles_answer
        else _followed(without_answer(transaction), after, changed=changed),
        chargebacks=chargebacks,
        journals=(*journals, *fee_journals(*standing.fees)),
        booked_by=chargebacks[-1] if chargebacks else transaction,
        events=_events(before, after),
        answered=transaction.idempotency_keys if settles_answer else (),
    )


def _new(payment: Payment, standing: DisputeStanding, now: datetime) -> Dispute:
    return Dispute(
        id=new_id(),
        merchant_id=payment.merchant_id,
        payment_id=payment.id,
        transaction_id=new_id(),
        version=0,
        state=standing.state,
        reason=standing.reason,
        reason_code=standing.reason_code,
        inquiry=standing.inquiry,
        amount=standing.amount,
        currency=standing.currency,
        amount_withdrawn=standing.withdrawn,
        amount_held=standing.held,
        processor=payment.processor,
        processor_account_id=payment.processor_account_id,
        processor_dispute_id=standing.processor_dispute_id,
        respond_by=standing.respond_by,
        evidence=None,
        answered_at=None,
        opened_at=standing.opened_at,
        created_at=now,
        updated_at=now,
    )


def _moved(dispute: Dispute, standing: DisputeStanding) -> Dispute:
    return replace(
        dispute,
        version=dispute.version + 1,
        state=standing.state,
        reason=standing.reason,
        reason_code=standing.reason_code,
        inquiry=standing.inquiry,
        amount=standing.amount,
        amount_withdrawn=standing.withdrawn,
        amount_held=standing.held,
        respond_by=standing.respond_by,
    )


def _shown(dispute: Dispute) -> Dispute:
    return replace(dispute, version=0, updated_at=dispute.created_at)


def _standing(dispute: Dispute) -> Dispute:
    """Leaves out the merchant's own answer, of which its call tells; events then come the same in any order."""
    return replace(_shown(dispute), evidence=None, answered_at=None)


def _new_transaction(dispute: Dispute, now: datetime) -> Transaction:
    return Transaction(
        id=dispute.transaction_id,
        merchant_id=dispute.merchant_id,
        payment_id=dispute.payment_id,
        type=TransactionType.DISPUTE,
        state=TransactionState.PENDING,
        amount=dispute.amount,
        currency=dispute.currency,
        processor=dispute.processor,
        processor_account_id=dispute.processor_account_id,
        processor_transaction_id=dispute.processor_dispute_id,
        reason=dispute.reason_code,
        failure=None,
        waiting=True,
        attempts=0,
        idempotency_keys=(),
        created_at=now,
        updated_at=now,
    )


def _followed(transaction: Transaction, dispute: Dispute, *, changed: bool) -> Transaction:
    """Recovery reads the dispute again and again until it is over, at shorter pauses after something has changed."""
    followed = replace(transaction, amount=dispute.amount, attempts=0 if changed else transaction.attempts)
    if not dispute.over:
        return replace(followed, state=TransactionState.PENDING, waiting=True)
    lost = dispute.state is DisputeState.LOST
    return replace(followed, state=TransactionState.COMPLETED if lost else TransactionState.CANCELLED, waiting=False)


def _chargebacks(
    dispute: Dispute, taken: int, known: tuple[Transaction, ...], now: datetime
) -> tuple[Transaction, ...]:
    """Keeps one COMPLETED chargeback for each withdrawal that was not given back, so that they sum to what is gone."""
    gone = dispute.amount_withdrawn
    if gone > taken:
        return (_new_chargeback(dispute, gone - taken, now),)
    if gone == taken:
        return ()
    given_back = tuple(
        replace(one, state=TransactionState.CANCELLED, updated_at=now)
        for one in known
        if one.state is TransactionState.COMPLETED
    )
    return (*given_back, _new_chargeback(dispute, gone, now)) if gone else given_back


def _new_chargeback(dispute: Dispute, amount: int, now: datetime) -> Transaction:
    return replace(
        _new_transaction(dispute, now),
        id=new_id(),
        type=TransactionType.CHARGEBACK,
        state=TransactionState.COMPLETED,
        amount=amount,
        waiting=False,
    )


def _events(before: Dispute | None, after: Dispute) -> tuple[str, ...]:
    told = ["dispute.created"] if before is None else []
    taken = 0 if before is None else before.amount_withdrawn
    ends = not after.open and (before is None or before.state is not after.state)
    if before is not None and not ends and _standing(replace(after, amount_withdrawn=taken)) != _standing(before):
        told.append("dispute.updated")
    if after.amount_withdrawn != taken:
        told.append("dispute.funds_withdrawn" if after.amount_withdrawn > taken else "dispute.funds_reinstated")
    if ends:
        told.append(_ENDS[after.state])
    return tuple(told)
