"""Transaction 2: what was found at the processor becomes the payment's state, its books, its event and its answer.

The only place where an outcome meets a payment. Called through group commit's urgent queue by use cases, webhooks and
recovery alike; the transaction being open is the guard, so whoever comes second changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from server.crash_points import durable
from server.domain.attention import AttentionKind
from server.domain.errors import KassaError, Reason
from server.domain.expiry import Lifetimes, deadline
from server.domain.operations import holds_slot
from server.domain.outcome import Finding
from server.domain.payment import OPEN_TRANSACTION_STATES, Payment, Transaction, TransactionState, TransactionType
from server.domain.processor_call import ProcessorCall
from server.domain.recovery import UNRESOLVED_AFTER, pause_s
from server.domain.settlement import AmountMismatch, Contradiction, Settlement, compensation, settle
from server.domain.states import ImpossibleTransition
from server.storage.answers import answer_of
from server.storage.attention import Attention, AttentionOver, close_attention, insert_attention
from server.storage.claims import Hold, release_keys, store_answers
from server.storage.deadlines import Deadline, write_deadlines
from server.storage.engine import dumps
from server.storage.fees import insert_fees_due
from server.storage.group_commit import Postponed
from server.storage.ledger import Booking, write_journals
from server.storage.locking import Key, Locked, explain_absent, lock_payments
from server.storage.open_payments import INSERT_EVENTS, event_row, insert_transactions, leased_row
from server.storage.prepared import Together, Writes, prepared
from server.storage.processor_calls import insert_calls
from server.storage.reviews import Moved, follow_moves
from server.storage.rows import PAYMENT_CHANGES, Row, columns, insert, payment_row, snapshot, transaction_row

_log = logging.getLogger(__name__)

_CLOSE = prepared("""
    UPDATE transactions t
    SET state = q.state, processor_transaction_id = q.processor_transaction_id, failure = q.failure,
        waiting = q.waiting, owner = NULL, lease_until = q.lease_until, attempts = q.attempts,
        updated_at = q.updated_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS q(merchant_id uuid, id uuid, was text, state text, processor_transaction_id text, failure jsonb,
              waiting boolean, lease_until timestamptz, attempts integer, updated_at timestamptz)
    WHERE t.merchant_id = q.merchant_id AND t.id = q.id AND t.state = q.was
""")
_CLOSE_AUTHORIZATION = prepared("""
    UPDATE transactions t SET state = 'CANCELLED', waiting = false, owner = NULL, updated_at = now()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(merchant_id uuid, id uuid)
    WHERE t.merchant_id = q.merchant_id AND t.payment_id = q.id AND t.type = 'AUTHORIZATION'
      AND t.state IN ('PENDING', 'UNKNOWN')
    RETURNING t.merchant_id, t.payment_id, t.id, t.idempotency_keys
""")
_MOVE = prepared(f"""
    UPDATE payments p SET ({columns(PAYMENT_CHANGES)}) = ROW ({columns(PAYMENT_CHANGES, "q")})
    FROM jsonb_populate_recordset(NULL::payments, CAST(:rows AS jsonb)) AS q
    WHERE p.merchant_id = q.merchant_id AND p.id = q.id
""")
_KINDS: dict[type[AmountMismatch | Contradiction | ImpossibleTransition], AttentionKind] = {
    AmountMismatch: AttentionKind.AMOUNT_MISMATCH,
    Contradiction: AttentionKind.CONTRADICTION,
    ImpossibleTransition: AttentionKind.IMPOSSIBLE_TRANSITION,
}
_SETTLED_BY_AN_ANSWER = (AttentionKind.UNRESOLVED, AttentionKind.NOT_GIVEN_BACK)
_OBJECT_COLUMNS = ("account_id", "object_id", "merchant_id", "payment_id", "transaction_id")
_INSERT_OBJECTS = prepared(insert("processor_objects", _OBJECT_COLUMNS) + " ON CONFLICT DO NOTHING")


@dataclass(frozen=True, slots=True)
class Settle:
    """A finding about a transaction.

    Attributes:
        calls: Those that it was found by; they are kept whatever it changes.
        lifetimes: How long its payment may wait; None where nobody keeps time.
        attempts: Of the transaction as the processor was asked. What ends nothing gives way to whoever took the
            transaction up since, and has its lease.
    """

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    finding: Finding
    calls: tuple[ProcessorCall, ...] = ()
    lifetimes: Lifetimes | None = None
    attempts: int | None = None

    @property
    def key(self) -> Key:
        """The payment it is about."""
        return self.merchant_id, self.payment_id


@dataclass(frozen=True, slots=True)
class Settled:
    """How the payment and the transaction stand now.

    Attributes:
        changed: False for whoever came second.
        busy: Another operation on the payment is under way, so what was found of one that is over was left aside.
    """

    payment: Payment
    transaction: Transaction
    changed: bool
    busy: bool = False


@dataclass(frozen=True, slots=True)
class _Change:
    """A settlement beside what stood before it."""

    before: Locked
    transaction: Transaction
    settlement: Settlement
    lifetimes: Lifetimes | None


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A finding that contradicts our books."""

    locked: Locked
    transaction: Transaction
    finding: Finding
    error: AmountMismatch | Contradiction | ImpossibleTransition


@durable
def settle_transactions(connection: Connection, rows: Sequence[Settle]) -> list[Settled | KassaError | Postponed]:
    """Settles a batch; each row learns how its payment stands, whoever settled it."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    changes: list[_Change] = []
    troubles: list[_Trouble] = []
    results = [absent.get(row.key) or _settle_one(row, locked[row.key], changes, troubles) for row in rows]
    writes = Together(connection)
    if changes:
        _write(connection, writes, changes)
    _record(connection, troubles, changes)
    insert_calls(writes, [(locked[r.key].payment, r.transaction_id, r.calls) for r in rows if r.key in locked])
    if changes:
        closed = writes.read(_CLOSE, {"rows": dumps([_closing(change) for change in changes])})
        assert closed.count == len(changes), "a transaction under its payment's lock cannot change"
    writes.send()
    return results


def _settle_one(row: Settle, locked: Locked, changes: list[_Change], troubles: list[_Trouble]) -> Settled | KassaError:
    payment, transaction = locked.payment, locked.transactions.get(row.transaction_id)
    if transaction is None:
        return KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such transaction.")
    if transaction.state not in OPEN_TRANSACTION_STATES and _is_busy(locked):
        return Settled(payment, transaction, changed=False, busy=True)
    try:
        settlement = settle(payment, transaction, row.finding)
    except (AmountMismatch, Contradiction, ImpossibleTransition) as trouble:
        # Recorded for people, never an error to a client who paid, never dropped.
        _log.error("payment %s needs attention: %s: %s", payment.id, type(trouble).__name__, trouble)
        troubles.append(_Trouble(locked, transaction, row.finding, trouble))
        if transaction.state not in OPEN_TRANSACTION_STATES:
            return Settled(payment, transaction, changed=False)
        # Still open, and asked again after a pause.
        settlement = Settlement(payment, replace(transaction, state=TransactionState.UNKNOWN, waiting=False))
    overtaken = row.attempts is not None and transaction.attempts > row.attempts
    if settlement is None or (overtaken and not settlement.final):
        return Settled(payment, transaction, changed=False)
    settlement = _stamp(settlement, locked.now)
    changes.append(_Change(locked, transaction, settlement, row.lifetimes))
    return Settled(settlement.payment, settlement.transaction, changed=True)


def _is_busy(locked: Locked) -> bool:
    open_ones = (one for one in locked.transactions.values() if one.state in OPEN_TRANSACTION_STATES)
    return any(holds_slot(one) for one in open_ones)


def _stamp(settlement: Settlement, now: datetime) -> Settlement:
    return replace(
        settlement,
        payment=replace(settlement.payment, updated_at=now),
        transaction=replace(settlement.transaction, updated_at=now),
    )


def _record(connection: Connection, troubles: Sequence[_Trouble], changes: Sequence[_Change]) -> None:
    """Opens attention items, and puts right what is ours to put right by an ordinary void or refund."""
    items = [Attention.about(t.transaction, _KINDS[type(t.error)], str(t.error), t.finding) for t in troubles]
    items += [item for change in changes for item in _worth_telling(change.settlement)]
    insert_attention(connection, items)
    close_attention(connection, [over for change in changes for over in _explained(change)])
    for trouble in troubles:
        begun = {one.detail.get("compensates") for one in trouble.locked.transactions.values()}
        if isinstance(trouble.error, Contradiction) and str(trouble.transaction.id) not in begun:
            made = compensation(trouble.locked.payment, trouble.transaction, trouble.finding, trouble.locked.now)
            if made is not None:
                insert_transactions(connection, [leased_row(made, None, 0)])


def _worth_telling(settlement: Settlement) -> list[Attention]:
    transaction = settlement.transaction
    about = (transaction.merchant_id, transaction.payment_id, transaction.id)
    items = [Attention(*about, settlement.attention_kind, settlement.attention)] if settlement.attention else []
    age = transaction.updated_at - transaction.created_at
    if transaction.state is TransactionState.UNKNOWN and age > UNRESOLVED_AFTER:
        told = f"the processor does not say what became of the {transaction.type.value.lower()}"
        items.append(Attention(*about, AttentionKind.UNRESOLVED, told))
    return items


def _explained(change: _Change) -> list[AttentionOver]:
    """What nobody needs to look at any more, since the processor has said what became of an unknown."""
    after = change.settlement.transaction
    if change.transaction.state is not TransactionState.UNKNOWN or after.state is TransactionState.UNKNOWN:
        return []
    note = f"the processor has told: the {after.type.value.lower()} is {after.state.value}"
    return [AttentionOver(after.merchant_id, after.id, kind, note) for kind in _SETTLED_BY_AN_ANSWER]


def _write(connection: Connection, writes: Together, changes: Sequence[_Change]) -> None:
    """Writes what follows from a batch, one statement a table."""
    objects = [found for change in changes for found in _objects(change)]
    if objects:
        writes.execute(_INSERT_OBJECTS, {"rows": dumps(objects)})
    write_books(writes, [change.settlement for change in changes])
    follow_moves(writes, [Moved(c.before.payment.state, c.settlement, c.lifetimes) for c in changes])
    write_deadlines(writes, [one for change in changes for one in _deadline(change)])
    _answer(connection, writes, changes)


def write_books(writes: Writes, settlements: Sequence[Settlement]) -> None:
    """Moves locked payments, books their journals, and tells their merchants."""
    writes.execute(_MOVE, {"rows": dumps([payment_row(one.payment) for one in settlements])})
    write_journals(writes, [Booking(journal, one.transaction) for one in settlements for journal in one.journals])
    insert_fees_due(writes, [one for one in settlements if one.fee_due])
    events = [_event(one) for one in settlements if one.event]
    if events:
        writes.execute(INSERT_EVENTS, {"rows": dumps(events)})


def _deadline(change: _Change) -> list[Deadline]:
    payment, transaction = change.settlement.payment, change.settlement.transaction
    if change.lifetimes is None or transaction.type is not TransactionType.AUTHORIZATION:
        return []  # what follows an authorization does not prolong it
    over = deadline(payment, transaction, change.lifetimes)
    return [] if over is None else [Deadline(payment.merchant_id, payment.id, over)]


def _closing(change: _Change) -> Row:
    after = change.settlement.transaction
    due = after.updated_at + timedelta(seconds=pause_s(after))
    return transaction_row(after) | {"was": change.transaction.state, "lease_until": due}


def _objects(change: _Change) -> list[Row]:
    """The processor's ids that events without our metadata will name."""
    after, transaction = change.settlement.payment, change.settlement.transaction
    found = {after.processor_payment_id, transaction.processor_transaction_id} - {""}
    if change.before.payment.processor_payment_id:
        found.discard(after.processor_payment_id)
    return [
        {
            "account_id": after.processor_account_id,
            "object_id": object_id,
            "merchant_id": after.merchant_id,
            "payment_id": after.id,
            "transaction_id": transaction.id,
        }
        for object_id in sorted(found)
    ]


def _event(settlement: Settlement) -> Row:
    data: dict[str, object] = {"payment": snapshot(settlement.payment)}
    if settlement.transaction.type is TransactionType.REFUND:
        data["transaction"] = transaction_row(settlement.transaction)
    return event_row(settlement.payment, settlement.transaction.id, settlement.event, data)


def _answer(connection: Connection, writes: Together, changes: Sequence[_Change]) -> None:
    """Makes the answers of the calls final that these settlements end, and frees the keys of what was never sent."""
    over = [change.settlement for change in changes if change.settlement.final]
    release_keys(writes, [hold for s in over if s.release_key for hold in _holds(s.transaction)])
    answers = [(hold, answer_of(s)) for s in over if not s.release_key for hold in _holds(s.transaction)]
    called_off = {(s.payment.merchant_id, s.payment.id): s.payment for s in over if s.closes_authorization}
    if called_off:
        keys = dumps([{"merchant_id": merchant_id, "id": payment_id} for merchant_id, payment_id in called_off])
        for row in connection.execute(_CLOSE_AUTHORIZATION, {"rows": keys}).mappings():
            payment = called_off[row["merchant_id"], row["payment_id"]]
            holds = [(payment.merchant_id, key, row["id"]) for key in row["idempotency_keys"]]
            answers += [(hold, {"payment": snapshot(payment)}) for hold in holds]
    store_answers(writes, answers)


def _holds(transaction: Transaction) -> list[Hold]:
    return [(transaction.merchant_id, key, transaction.id) for key in transaction.idempotency_keys]
