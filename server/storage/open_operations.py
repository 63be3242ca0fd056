"""Transaction 1 of a capture, void, refund or confirmation: claim, guard under the payment's lock, transaction row.

Called through group commit by the use cases and, without a claim, by recovery and webhooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.errors import KassaError, Reason
from server.domain.operations import check_operation, holds_slot
from server.domain.payment import (
    OPEN_TRANSACTION_STATES,
    Payment,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.domain.review import Review, Ruling, check_ruling
from server.storage.answers import error_answer
from server.storage.claims import Claim, Replay, claim_keys, release_keys, store_answers
from server.storage.engine import dumps
from server.storage.group_commit import Postponed
from server.storage.locking import Key, Locked, explain_absent, lock_payments
from server.storage.open_payments import insert_transactions, leased_row
from server.storage.reviews import reviews_of
from server.storage.rows import snapshot

# The guard is repeated here so that the limit lives in Postgres, not in Python.
_RESERVE = text("""
    UPDATE payments p SET amount_refunding = p.amount_refunding + q.amount, updated_at = now()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(merchant_id uuid, id uuid, amount bigint)
    WHERE p.merchant_id = q.merchant_id AND p.id = q.id
      AND p.amount_captured - p.amount_refunded - p.amount_refunding >= q.amount
    RETURNING p.id
""")
_TAKE_UP = text("""
    UPDATE transactions t
    SET waiting = false, owner = q.owner, lease_until = now() + q.lease_s * interval '1 second',
        attempts = t.attempts + 1, idempotency_keys = t.idempotency_keys || q.keys, updated_at = now(),
        detail = CASE WHEN q.confirmations = '[]' THEN t.detail
                      ELSE t.detail || jsonb_build_object(
                          'confirmations', COALESCE(t.detail->'confirmations', '[]') || q.confirmations) END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS q(merchant_id uuid, id uuid, owner uuid, lease_s numeric, keys jsonb, confirmations jsonb)
    WHERE t.merchant_id = q.merchant_id AND t.id = q.id AND t.state IN ('PENDING', 'UNKNOWN')
    RETURNING t.id
""")


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """A capture, void or refund.

    Attributes:
        transaction_id: New; the claim's, where there is one.
        amount: Minor units; None means all there is.
        reason: The merchant's, kept with the transaction.
        lease_s: Seconds for which only `owner` may act.
        claim: A merchant's call has one; what Kassa does by itself has none.
        ruling: Who decides the payment's review by it; None where its merchant, or the time of its hold, does.
    """

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    type: TransactionType
    amount: int | None
    reason: str
    owner: UUID
    lease_s: float
    claim: Claim | None = None
    ruling: Ruling | None = None

    @property
    def key(self) -> Key:
        """The payment it is about."""
        return self.merchant_id, self.payment_id


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Carries on an open transaction: a confirmation, a retry of a lost attempt, recovery.

    Attributes:
        claim: A merchant's call has one; recovery and webhooks have none.
        transaction_id: Which transaction; None for the authorization that waits for its customer.
    """

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID | None
    owner: UUID
    lease_s: float
    claim: Claim | None = None

    @property
    def key(self) -> Key:
        """The payment it is about."""
        return self.merchant_id, self.payment_id


@dataclass(frozen=True, slots=True)
class OperationOpened:
    """The transaction is ours until its lease ends; the processor may be asked."""

    payment: Payment
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Over:
    """A confirmation is answered with the payment as it stands.

    Nothing of it waits any more, and what the confirmation would have brought about stands already; or it was confirmed
    so often that another call would only make its row longer, and webhooks and recovery tell what becomes of it.
    """

    payment: Payment


Result = OperationOpened | Replay | KassaError | Postponed
_CONFIRMED = frozenset({State.AUTHORIZED, State.IN_REVIEW, State.COMPLETED, State.REFUNDED, State.FAILED})
"""Where a confirmation may find its payment when a webhook was quicker; it is told how the payment stands."""


_MOST_CALLS = 200
"""Keys that one authorization answers when it is over; each confirmation of a waiting payment may bring one."""
_PASSING = frozenset({Reason.OPERATION_IN_PROGRESS, Reason.REVIEW_CLAIMED})


@durable
def open_operations(connection: Connection, rows: Sequence[OpenOperation]) -> list[Result]:
    """Opens a batch of operations; a refusal becomes the claim's final answer."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    lost = claim_keys(connection, [row.claim for row in rows if row.claim is not None and row.key in locked])
    reviews = reviews_of(connection, [row.key for row in rows if row.ruling is not None and row.key in locked])
    results: list[Result] = []
    opened: list[tuple[OpenOperation, OperationOpened]] = []
    for row in rows:
        beaten: Result | None = absent.get(row.key) or _written_before(row, locked[row.key])
        if beaten is None and row.claim is not None:
            beaten = lost.get(row.claim.attempt_id)
        result = beaten or _check(row, locked[row.key], reviews.get(row.key))
        opened += [(row, result)] if beaten is None and isinstance(result, OperationOpened) else []
        results.append(result)
    _insert(connection, opened)
    refused = [
        (row.claim, result)
        for row, result in zip(rows, results, strict=True)
        if isinstance(result, KassaError)
        and row.claim is not None
        and row.key in locked
        and row.claim.attempt_id not in lost
    ]
    close_claims(connection, refused)
    return results


@durable
def take_up(connection: Connection, rows: Sequence[TakeUp]) -> list[Result | Over]:
    """Leases open transactions to whoever carries them on; a transaction that is over or leased is refused."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    lost = claim_keys(connection, [row.claim for row in rows if row.claim is not None and row.key in locked])
    results: list[Result | Over] = []
    taken: list[tuple[TakeUp, Transaction]] = []
    for row in rows:
        beaten: Result | None = absent.get(row.key) or _written_before(row, locked[row.key])
        if beaten is None and row.claim is not None:
            beaten = lost.get(row.claim.attempt_id)
        result = beaten or _find_open(row, locked[row.key])
        taken += [(row, result.transaction)] if beaten is None and isinstance(result, OperationOpened) else []
        results.append(result)
    refused = [
        (row.claim, result)
        for row, result in zip(rows, results, strict=True)
        if isinstance(result, KassaError)
        and row.claim is not None
        and row.key in locked
        and row.claim.attempt_id not in lost
    ]
    if taken:
        updates = [
            {"merchant_id": row.merchant_id, "id": transaction.id, "owner": row.owner, "lease_s": row.lease_s,
             "keys": [row.claim.key] if row.claim else [],
             "confirmations": [_confirmation(row.claim, locked[row.key])] if row.claim else []}
            for row, transaction in taken
        ]  # fmt: skip
        connection.execute(_TAKE_UP, {"rows": dumps(updates)})
    close_claims(connection, refused)
    over = [(row.claim, r.payment) for row, r in zip(rows, results, strict=True) if isinstance(r, Over) and row.claim]
    store_answers(connection, [(c.hold, {"payment": snapshot(payment)}) for c, payment in over])
    return results


def _written_before(row: OpenOperation | TakeUp, locked: Locked) -> OperationOpened | KassaError | None:
    """Finds a row whose COMMIT was done though its answer was lost; where it has a claim, that tells the rest."""
    transaction = locked.leased_by(row.owner)
    if transaction is not None:
        return OperationOpened(locked.payment, transaction)
    if isinstance(row, OpenOperation) and row.claim is None and row.transaction_id in locked.transactions:
        return _in_progress(locked.payment)  # its lease is over, and recovery has it
    return None


def _in_progress(payment: Payment) -> KassaError:
    return KassaError(
        Reason.OPERATION_IN_PROGRESS,
        "Another operation on this payment is under way. Read the payment, then try again.",
        metadata={"payment_state": payment.state.value},
    )


def _confirmation(claim: Claim, locked: Locked) -> dict[str, object]:
    """What the payment's timeline tells of the call."""
    return {"at": locked.now, "key": claim.key, "request_id": claim.request_id}


def _check(row: OpenOperation, locked: Locked, review: Review | None) -> OperationOpened | KassaError:
    payment = locked.payment
    under_way = [one for one in locked.transactions.values() if one.state in OPEN_TRANSACTION_STATES]
    try:
        if row.ruling is not None:
            check_ruling(review, row.ruling, locked.now)
        amount = check_operation(payment, row.type, row.amount, under_way)
    except KassaError as refusal:
        return refusal
    transaction = Transaction(
        id=row.transaction_id,
        merchant_id=payment.merchant_id,
        payment_id=payment.id,
        type=row.type,
        state=TransactionState.PENDING,
        amount=amount,
        currency=payment.currency,
        processor=payment.processor,
        processor_account_id=payment.processor_account_id,
        processor_transaction_id="",
        reason=row.reason,
        failure=None,
        waiting=False,
        attempts=0,
        idempotency_keys=(row.claim.key,) if row.claim else (),
        created_at=locked.now,
        updated_at=locked.now,
        detail=({"request_id": row.claim.request_id} if row.claim else {})
        | (row.ruling.detail() if row.ruling else {}),
    )
    if row.type is TransactionType.REFUND:
        payment = replace(payment, amount_refunding=payment.amount_refunding + amount, updated_at=locked.now)
    return OperationOpened(payment, transaction)


def _find_open(row: TakeUp, locked: Locked) -> OperationOpened | Over | KassaError:
    payment = locked.payment
    under_way = [one for one in locked.transactions.values() if one.state in OPEN_TRANSACTION_STATES]
    wanted = [one for one in under_way if one.id == row.transaction_id] if row.transaction_id else _waiting(under_way)
    if not wanted and row.transaction_id is None and payment.state in _CONFIRMED:
        return Over(payment)
    if not wanted:
        return KassaError(
            Reason.PAYMENT_STATE_INVALID,
            f"The payment is {payment.state.value}; nothing of it waits to be carried on.",
            metadata={"payment_state": payment.state.value, "allowed_states": "PENDING"},
        )
    transaction = wanted[0]
    if row.claim and len(transaction.idempotency_keys) >= _MOST_CALLS:
        return Over(payment)
    lease = locked.leases[transaction.id]
    leased = lease.owner is not None and lease.until > locked.now
    others = any(holds_slot(other) for other in under_way if other.id != transaction.id)
    if leased or (transaction.type is TransactionType.AUTHORIZATION and others):
        return _in_progress(payment)
    keys = (*transaction.idempotency_keys, row.claim.key) if row.claim else transaction.idempotency_keys
    again = replace(
        transaction,
        waiting=False,
        attempts=transaction.attempts + 1,
        idempotency_keys=keys,
        updated_at=locked.now,
    )
    return OperationOpened(payment, again)


def _waiting(under_way: Sequence[Transaction]) -> list[Transaction]:
    return [one for one in under_way if one.type is TransactionType.AUTHORIZATION]


def _insert(connection: Connection, opened: Sequence[tuple[OpenOperation, OperationOpened]]) -> None:
    insert_transactions(connection, [leased_row(result.transaction, row.owner, row.lease_s) for row, result in opened])
    reserved = [
        {"merchant_id": result.payment.merchant_id, "id": result.payment.id, "amount": result.transaction.amount}
        for _, result in opened
        if result.transaction.type is TransactionType.REFUND
    ]
    if reserved:
        updated = connection.execute(_RESERVE, {"rows": dumps(reserved)}).rowcount
        assert updated == len(reserved), "a locked payment's refund reservation cannot be refused"


def close_claims(connection: Connection, refused: Sequence[tuple[Claim, KassaError]]) -> None:
    """Keeps a refusal as the key's answer, but for one that time alone will lift: that key is free again."""
    release_keys(connection, [claim.hold for claim, error in refused if error.reason in _PASSING])
    final = [(claim.hold, error_answer(error)) for claim, error in refused if error.reason not in _PASSING]
    store_answers(connection, final)
