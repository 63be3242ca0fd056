"""Answers to disputes: claimed and written down before they are sent, taken out again when the processor has spoken.

Called through group commit by `usecases.answer_dispute` and `usecases.follow_dispute`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.attention import AttentionKind
from server.domain.dispute import Dispute, Evidence
from server.domain.dispute_answer import PendingAnswer, check_answer, pending_answer, with_answer, without_answer
from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, Transaction, TransactionState
from server.domain.processor_call import ProcessorCall
from server.domain.recovery import UNRESOLVED_AFTER, pause_s
from server.storage.answers import error_answer
from server.storage.attention import Attention, insert_attention
from server.storage.claims import Claim, Replay, claim_keys, store_answers
from server.storage.dispute_rows import read_dispute
from server.storage.disputes import disputes_of
from server.storage.engine import dumps
from server.storage.group_commit import Postponed
from server.storage.locking import Key, Locked, explain_absent, lock_payments
from server.storage.open_operations import close_claims
from server.storage.open_payments import leased_row
from server.storage.processor_calls import insert_calls

_LEASE = text("""
    UPDATE transactions t
    SET state = q.state, waiting = q.waiting, attempts = q.attempts, idempotency_keys = q.idempotency_keys,
        detail = q.detail, owner = q.owner, lease_until = now() + q.lease_s * interval '1 second'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS q(merchant_id uuid, id uuid, state text, waiting boolean, attempts integer, idempotency_keys jsonb,
              detail jsonb, owner uuid, lease_s numeric)
    WHERE t.merchant_id = q.merchant_id AND t.id = q.id
""")


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """What a merchant answers.

    Attributes:
        claim: Names the dispute's payment and its transaction; its attempt is the answer's key at the processor.
        evidence: None accepts the dispute.
        lease_s: Seconds for which only `owner` may send it.
    """

    claim: Claim
    dispute_id: UUID
    evidence: Evidence | None
    owner: UUID
    lease_s: float

    @property
    def key(self) -> Key:
        """The payment whose dispute it is."""
        return self.claim.merchant_id, self.claim.payment_id


@dataclass(frozen=True, slots=True)
class AnswerOpened:
    """The answer is durable and ours to send until the lease ends."""

    payment: Payment
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class LetGo:
    """Nothing was learnt of a dispute that is leased: it is looked at again after a pause.

    Attributes:
        refusal: Why the processor will not have the answer that the transaction carries, which ends that.
        calls: What was said to the processor.
    """

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    owner: UUID
    refusal: KassaError | None = None
    calls: tuple[ProcessorCall, ...] = ()

    @property
    def key(self) -> Key:
        """The payment whose dispute it is."""
        return self.merchant_id, self.payment_id


Result = AnswerOpened | Replay | KassaError | Postponed


@durable
def open_answers(connection: Connection, rows: Sequence[OpenAnswer]) -> list[Result]:
    """Opens a batch of answers; a refusal becomes the claim's final answer."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    lost = claim_keys(connection, [row.claim for row in rows if row.key in locked])
    disputes = {one.id: one for one in disputes_of(connection, [*locked])}
    results: list[Result] = [
        absent.get(row.key) or lost.get(row.claim.attempt_id) or _open(row, locked[row.key], disputes[row.dispute_id])
        for row in rows
    ]
    opened = [(row, result) for row, result in zip(rows, results, strict=True) if isinstance(result, AnswerOpened)]
    _lease(connection, [leased_row(result.transaction, row.owner, row.lease_s) for row, result in opened])
    close_claims(
        connection,
        [
            (row.claim, result)
            for row, result in zip(rows, results, strict=True)
            if isinstance(result, KassaError) and row.key in locked and row.claim.attempt_id not in lost
        ],
    )
    return results


def _open(row: OpenAnswer, locked: Locked, dispute: Dispute) -> AnswerOpened | KassaError:
    transaction, lease = locked.transactions[dispute.transaction_id], locked.leases[dispute.transaction_id]
    try:
        check_answer(dispute, transaction, row.evidence, locked.now)
    except KassaError as refusal:
        return refusal
    if lease.owner is not None and lease.until > locked.now:
        return KassaError(
            Reason.OPERATION_IN_PROGRESS,
            "The dispute is being read. Try again.",
            metadata={"dispute_state": dispute.state.value},
        )
    answer = PendingAnswer(str(row.claim.attempt_id), row.evidence, locked.now)
    return AnswerOpened(locked.payment, with_answer(transaction, row.claim.key, answer))


@durable
def let_go(connection: Connection, rows: Sequence[LetGo]) -> list[bool | KassaError | Postponed]:
    """Ends leases that brought nothing; False where somebody else has the lease by now."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    ours = [row for row in rows if row.key in locked and locked[row.key].leases[row.transaction_id].owner == row.owner]
    held = [(row, locked[row.key].transactions[row.transaction_id], locked[row.key].now) for row in ours]
    released = [_released(transaction, row.refusal) for row, transaction, _ in held]
    _lease(connection, [leased_row(transaction, None, pause_s(transaction)) for transaction in released])
    store_answers(
        connection,
        [
            ((row.merchant_id, key, row.transaction_id), error_answer(row.refusal))
            for row, transaction, _ in held
            if row.refusal is not None
            for key in transaction.idempotency_keys
        ],
    )
    insert_attention(
        connection,
        [
            item
            for (_, _, now), transaction in zip(held, released, strict=True)
            for item in _unresolved(transaction, now)
        ],
    )
    insert_calls(
        connection, [(locked[row.key].payment, row.transaction_id, row.calls) for row in rows if row.key in locked]
    )
    return [absent.get(row.key) or row in ours for row in rows]


def _released(transaction: Transaction, refusal: KassaError | None) -> Transaction:
    if pending_answer(transaction) is None:
        return replace(transaction, state=TransactionState.PENDING, waiting=True)
    if refusal is None:
        return replace(transaction, state=TransactionState.UNKNOWN, waiting=False)
    return replace(without_answer(transaction), state=TransactionState.PENDING, waiting=True, attempts=0)


def _unresolved(transaction: Transaction, now: datetime) -> list[Attention]:
    answer = pending_answer(transaction)
    if answer is None or now - answer.given_at <= UNRESOLVED_AFTER:
        return []
    told = f"the processor has not said since {answer.given_at} whether it has the answer to the dispute"
    return [Attention(transaction.merchant_id, transaction.payment_id, transaction.id, AttentionKind.UNRESOLVED, told)]


def _lease(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        connection.execute(_LEASE, {"rows": dumps(rows)})


def read_dispute_answer(answer: Mapping[str, Any]) -> Dispute:
    """Reads a stored answer.

    Raises:
        KassaError: The answer is a refusal.
    """
    if "error" in answer:
        raise KassaError.restore(answer["error"])
    return read_dispute(answer["dispute"])
