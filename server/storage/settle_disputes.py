"""Settles readings of disputes: the dispute, its payment, its transactions, the books, the events, the answer.

Called through group commit's urgent queue by `usecases.follow_dispute`. A reading is settled only on top of the version
that stood when it began: whoever was overtaken reads again, so no older reading can follow a newer one.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable
from server.domain.attention import AttentionKind
from server.domain.consequence import AmountMismatch, Settlement
from server.domain.dispute import Dispute, DisputeStanding
from server.domain.dispute_answer import pending_answer
from server.domain.dispute_settlement import DisputeSettlement, KnownDispute, settle_dispute
from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, Transaction, TransactionType
from server.domain.processor_call import ProcessorCall
from server.domain.recovery import pause_s
from server.storage.attention import Attention, AttentionOver, close_attention, insert_attention
from server.storage.claims import store_answers
from server.storage.dispute_rows import DISPUTE_COLUMNS, dispute_row
from server.storage.disputes import disputes_of
from server.storage.engine import dumps
from server.storage.group_commit import Postponed
from server.storage.locking import Key, Locked, explain_absent, lock_payments
from server.storage.open_payments import INSERT_EVENTS, event_row, insert_transactions, leased_row
from server.storage.processor_calls import insert_calls
from server.storage.rows import Row, columns, insert, snapshot, transaction_row
from server.storage.settle import write_books

_log = logging.getLogger(__name__)

_UPSERT = text(f"""
    {insert("disputes", DISPUTE_COLUMNS)}
    ON CONFLICT (merchant_id, id) DO UPDATE
    SET ({columns(DISPUTE_COLUMNS)}) = ROW ({columns(DISPUTE_COLUMNS, "excluded")})
""")
_FOLLOW = text("""
    UPDATE transactions t
    SET state = q.state, amount = q.amount, waiting = q.waiting, owner = NULL, lease_until = q.lease_until,
        attempts = q.attempts, idempotency_keys = q.idempotency_keys, detail = q.detail, updated_at = q.updated_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS q(merchant_id uuid, id uuid, state text, amount bigint, waiting boolean, lease_until timestamptz,
              attempts integer, idempotency_keys jsonb, detail jsonb, updated_at timestamptz)
    WHERE t.merchant_id = q.merchant_id AND t.id = q.id
""")
_OBJECT_COLUMNS = ("account_id", "object_id", "merchant_id", "payment_id", "transaction_id")
_INSERT_OBJECTS = text(insert("processor_objects", _OBJECT_COLUMNS) + " ON CONFLICT DO NOTHING")


@dataclass(frozen=True, slots=True)
class SettleDispute:
    """A reading of a dispute.

    Attributes:
        version: Of the dispute when the reading began; 0 where none was known.
        answered: The answer of that id, which the dispute's transaction carries, has reached the processor.
        calls: What was said to the processor for it, kept whether or not the reading changes anything.
    """

    merchant_id: UUID
    payment_id: UUID
    version: int
    standing: DisputeStanding
    answered: str | None = None
    calls: tuple[ProcessorCall, ...] = ()

    @property
    def key(self) -> Key:
        """The payment it is about."""
        return self.merchant_id, self.payment_id


@dataclass(frozen=True, slots=True)
class DisputeSettled:
    """How the payment and its dispute stand now."""

    payment: Payment
    dispute: Dispute


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Another reading was settled after this one had begun; it must be made again, on top of `version`."""

    version: int


@dataclass(frozen=True, slots=True)
class _Change:
    """A settlement beside what stood before it."""

    before: Locked
    known: KnownDispute | None
    settlement: DisputeSettlement


@durable
def settle_disputes(
    connection: Connection, rows: Sequence[SettleDispute]
) -> list[DisputeSettled | Overtaken | KassaError | Postponed]:
    """Settles a batch of readings, one a payment at most."""
    locked = lock_payments(connection, [row.key for row in rows])
    absent = explain_absent(connection, [row.key for row in rows], locked)
    stored = {
        (one.merchant_id, one.payment_id, one.processor_dispute_id): one for one in disputes_of(connection, [*locked])
    }
    changes: list[_Change] = []
    troubles: list[Attention] = []
    results = [
        absent.get(row.key)
        or _settle_one(
            row, locked[row.key], stored.get((*row.key, row.standing.processor_dispute_id)), changes, troubles
        )
        for row in rows
    ]
    if changes:
        _write(connection, changes)
    insert_attention(connection, troubles)
    insert_calls(
        connection,
        [
            (
                locked[row.key].payment,
                result.dispute.transaction_id if isinstance(result, DisputeSettled) else None,
                row.calls,
            )
            for row, result in zip(rows, results, strict=True)
            if row.key in locked
        ],
    )
    close_attention(connection, [over for change in changes for over in _arrived(change)])
    return results


def _settle_one(
    row: SettleDispute, locked: Locked, dispute: Dispute | None, changes: list[_Change], troubles: list[Attention]
) -> DisputeSettled | Overtaken | KassaError:
    version = 0 if dispute is None else dispute.version
    if version != row.version:
        return Overtaken(version)
    known = None if dispute is None else _known(dispute, locked)
    try:
        settlement = settle_dispute(locked.payment, known, row.standing, locked.now, row.answered)
    except AmountMismatch as mismatch:
        _log.error("payment %s needs attention: %s", locked.payment.id, mismatch)
        about = known.transaction if known else next(iter(locked.transactions.values()))
        troubles.append(
            Attention(about.merchant_id, about.payment_id, about.id, AttentionKind.AMOUNT_MISMATCH, str(mismatch))
        )
        return KassaError(Reason.INTERNAL, "The dispute cannot be booked; people were told.")
    changes.append(_Change(locked, known, settlement))
    return DisputeSettled(settlement.payment, settlement.dispute)


def _arrived(change: _Change) -> list[AttentionOver]:
    """What nobody needs to look at any more, since the processor has the answer."""
    if change.known is None or not pending_answer(change.known.transaction):
        return []
    transaction = change.settlement.transaction
    if pending_answer(transaction):
        return []
    note = "the processor has the answer to the dispute"
    return [AttentionOver(transaction.merchant_id, transaction.id, AttentionKind.UNRESOLVED, note)]


def _known(dispute: Dispute, locked: Locked) -> KnownDispute:
    mine = [one for one in locked.transactions.values() if one.processor_transaction_id == dispute.processor_dispute_id]
    chargebacks = sorted((one for one in mine if one.type is TransactionType.CHARGEBACK), key=lambda one: one.id)
    return KnownDispute(dispute, locked.transactions[dispute.transaction_id], tuple(chargebacks))


def _write(connection: Connection, changes: Sequence[_Change]) -> None:
    """Writes what follows from a batch, one statement a table."""
    settlements = [change.settlement for change in changes]
    connection.execute(_UPSERT, {"rows": dumps([dispute_row(one.dispute) for one in settlements])})
    made = [one for change in changes for one in _transactions(change) if one.id not in change.before.transactions]
    insert_transactions(connection, [leased_row(one, None, pause_s(one)) for one in made])
    followed = [
        _following(one, change)
        for change in changes
        for one in _transactions(change)
        if one.id in change.before.transactions
    ]
    if followed:
        connection.execute(_FOLLOW, {"rows": dumps(followed)})
    new = [change.settlement for change in changes if change.known is None]
    if new:
        connection.execute(_INSERT_OBJECTS, {"rows": dumps([_object(one) for one in new])})
    write_books(connection, [_books(change) for change in changes if _moves_money(change)])
    _tell(connection, settlements)


def _transactions(change: _Change) -> list[Transaction]:
    """What is to be written of the dispute's transactions; one that carries an answer stays with its lease."""
    settlement = change.settlement
    carried = pending_answer(settlement.transaction) is not None
    return [*settlement.chargebacks] if carried else [settlement.transaction, *settlement.chargebacks]


def _following(transaction: Transaction, change: _Change) -> Row:
    before, now = change.before.transactions[transaction.id], change.before.now
    moved = (before.state, before.amount) != (transaction.state, transaction.amount)
    due = now + timedelta(seconds=pause_s(transaction))
    return transaction_row(replace(transaction, updated_at=now if moved else before.updated_at)) | {"lease_until": due}


def _object(settlement: DisputeSettlement) -> Row:
    """Later events name the dispute alone."""
    dispute = settlement.dispute
    return {
        "account_id": dispute.processor_account_id,
        "object_id": dispute.processor_dispute_id,
        "merchant_id": dispute.merchant_id,
        "payment_id": dispute.payment_id,
        "transaction_id": dispute.transaction_id,
    }


def _moves_money(change: _Change) -> bool:
    return bool(change.settlement.journals) or change.settlement.payment != change.before.payment


def _books(change: _Change) -> Settlement:
    settlement, now = change.settlement, change.before.now
    return Settlement(
        replace(settlement.payment, updated_at=now),
        replace(settlement.booked_by, updated_at=now),
        settlement.journals,
    )


def _tell(connection: Connection, settlements: Sequence[DisputeSettlement]) -> None:
    """Tells merchants, and answers the calls that ended with these readings."""
    told = [(one, {"payment": snapshot(one.payment), "dispute": dispute_row(one.dispute)}) for one in settlements]
    events = [event_row(one.payment, one.transaction.id, kind, data) for one, data in told for kind in one.events]
    if events:
        connection.execute(INSERT_EVENTS, {"rows": dumps(events)})
    answers = [
        ((one.dispute.merchant_id, key, one.dispute.transaction_id), {"dispute": data["dispute"]})
        for one, data in told
        for key in one.answered
    ]
    store_answers(connection, answers)
