"""Transaction 1 of a new payment: claim, payment, velocity, fraud decision and the transaction row, as one batch.

Once it has committed, the payment cannot be forgotten. Called through group commit by `usecases.create_payment`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from server.crash_points import durable
from server.domain.daily_limit import DailyLimit
from server.domain.errors import KassaError
from server.domain.ids import new_id
from server.domain.payment import FraudDecision, Payment, State, Transaction
from server.domain.velocity import Counted, Traces, Velocity
from server.storage.claims import Claim, Lost, Replay, claim_keys, release_keys, store_answers
from server.storage.daily_limits import beyond_limit
from server.storage.engine import dumps
from server.storage.group_commit import POSTPONED, Postponed
from server.storage.locking import lock_payments
from server.storage.prepared import Together, Writes, prepared
from server.storage.rows import (
    DECISION_COLUMNS,
    PAYMENT_COLUMNS,
    TRACE_COLUMNS,
    TRANSACTION_COLUMNS,
    columns,
    decision_row,
    insert,
    payment_row,
    snapshot,
    traces_row,
    transaction_row,
)
from server.storage.velocity import read_past

Screen = Callable[[Counted], tuple[Payment, FraudDecision]]
"""Decides a payment from its velocity facts: the payment, FAILED where it is blocked, and why. Must do no I/O."""

_INSERT_PAYMENTS = prepared(insert("payments", (*PAYMENT_COLUMNS, *TRACE_COLUMNS)))
_DECISION_VALUES = columns([name for name in DECISION_COLUMNS if name != "created_at"])
_INSERT_DECISIONS = prepared(f"""
    INSERT INTO fraud_decisions ({_DECISION_VALUES}, created_at)
    SELECT {_DECISION_VALUES}, now() FROM jsonb_populate_recordset(NULL::fraud_decisions, CAST(:rows AS jsonb))
""")
# Stamped by the database: a server whose clock is wrong must not make a processor's key look younger than it is.
_STAMPED = ("created_at", "updated_at", "lease_until")
_TRANSACTION_VALUES = columns([name for name in TRANSACTION_COLUMNS if name not in _STAMPED])
_INSERT_TRANSACTIONS = prepared(f"""
    INSERT INTO transactions ({_TRANSACTION_VALUES}, created_at, updated_at, lease_until)
    SELECT {_TRANSACTION_VALUES}, now(), now(), now() + (element->>'lease_s')::numeric * interval '1 second'
    FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS element
    CROSS JOIN LATERAL jsonb_populate_record(NULL::transactions, element)
""")
_FAIL_BLOCKED = prepared("""
    UPDATE payments p SET state = q.state, failure = q.failure
    FROM jsonb_populate_recordset(NULL::payments, CAST(:rows AS jsonb)) AS q
    WHERE p.merchant_id = q.merchant_id AND p.id = q.id
""")
_EVENT_VALUES = "merchant_id, id, type, payment_id, transaction_id, data"
INSERT_EVENTS = prepared(f"""
    INSERT INTO events ({_EVENT_VALUES}, created_at)
    SELECT {_EVENT_VALUES}, now() FROM jsonb_populate_recordset(NULL::events, CAST(:rows AS jsonb))
""")


@dataclass(frozen=True, slots=True)
class OpenPayment:
    """What a new payment needs to become durable.

    Attributes:
        payment: In state PROCESSING.
        transaction: Its first authorization, PENDING.
        traces: What it is found again by.
        velocity: The numbers that the ruleset in force asks for.
        screen: Decides with them.
        limit: How many payments its merchant may open on this day; None where there is no limit.
        owner: The process that will act; until `lease_s` seconds have passed nobody else may.
    """

    claim: Claim
    payment: Payment
    transaction: Transaction
    traces: Traces
    velocity: tuple[Velocity, ...]
    screen: Screen
    owner: UUID
    lease_s: float
    limit: DailyLimit | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A payment that is durable; FAILED already where the rules blocked it, and then nothing is to be sent."""

    payment: Payment
    transaction: Transaction


@durable
def open_payments(
    connection: Connection, rows: Sequence[OpenPayment]
) -> list[Opened | Replay | KassaError | Postponed]:
    """Opens a batch of payments; each row gets `Opened`, or what its claim lost to."""
    lost: dict[UUID, Lost | Opened] = {**claim_keys(connection, [row.claim for row in rows])}
    lost |= _written_before(connection, [row for row in rows if _beat_itself(row, lost.get(row.claim.attempt_id))])
    winners = sorted(
        (row for row in rows if row.claim.attempt_id not in lost),
        key=lambda row: (row.payment.merchant_id, row.payment.id),
    )
    refused = _refuse_beyond_limit(connection, winners)
    within = [row for row in winners if row.claim.attempt_id not in refused]
    results = {**lost, **refused, **(_open(connection, within) if within else {})}
    return [results[row.claim.attempt_id] for row in rows]


def _beat_itself(row: OpenPayment, beaten_by: object) -> bool:
    """Says whether a row lost its key to its own claim, and is still to be sent."""
    return isinstance(beaten_by, Replay) and beaten_by.transaction_id == row.transaction.id and not beaten_by.answer


def _written_before(connection: Connection, rows: Sequence[OpenPayment]) -> dict[UUID, Opened | Postponed]:
    """Finds payments whose COMMIT was done though its answer was lost, as they were opened then."""
    if not rows:
        return {}
    locked = lock_payments(connection, [(row.payment.merchant_id, row.payment.id) for row in rows])
    found: dict[UUID, Opened | Postponed] = {}
    for row in rows:
        stands = locked.get((row.payment.merchant_id, row.payment.id))
        if stands is None:  # somebody has it locked
            found[row.claim.attempt_id] = POSTPONED
        elif transaction := stands.leased_by(row.owner):
            found[row.claim.attempt_id] = Opened(stands.payment, transaction)
    return found


def _refuse_beyond_limit(connection: Connection, rows: Sequence[OpenPayment]) -> dict[UUID, KassaError]:
    """Frees the keys of payments that their merchants' daily limits do not allow, as though they had never come."""
    limited = [(row, row.limit) for row in rows if row.limit is not None]
    beyond = beyond_limit(connection, [(row.payment.merchant_id, limit) for row, limit in limited])
    refused = [(row, limit) for (row, limit), too_many in zip(limited, beyond, strict=True) if too_many]
    release_keys(connection, [row.claim.hold for row, _ in refused])
    return {row.claim.attempt_id: limit.refusal(row.payment.created_at) for row, limit in refused}


def _open(connection: Connection, rows: Sequence[OpenPayment]) -> dict[UUID, Opened]:
    past = read_past(connection, [(row.payment, row.traces, row.velocity) for row in rows])
    # Payments go in before the rest is read, so that the earlier ones of this very batch count too.
    inserted = [payment_row(row.payment) | traces_row(row.traces) for row in rows]
    writes = Together(connection)
    writes.execute(_INSERT_PAYMENTS, {"rows": dumps(inserted)})
    counted = past.complete(writes)
    decided = []
    for row in rows:
        payment, decision = row.screen(counted[row.payment.id])
        # What goes to the processor follows the decision that is stored, whatever `screen` made of the payment.
        told = payment if payment.fraud is decision else replace(payment, fraud=decision)
        decided.append((row, told, decision))
    writes.execute(_INSERT_DECISIONS, {"rows": dumps([decision_row(payment, why) for _, payment, why in decided])})
    sent = [row for row, payment, _ in decided if payment.state is State.PROCESSING]
    insert_transactions(writes, [leased_row(row.transaction, row.owner, row.lease_s) for row in sent])
    _finish_blocked(writes, [(row, payment) for row, payment, _ in decided if payment.state is State.FAILED])
    writes.send()
    return {row.claim.attempt_id: Opened(payment, row.transaction) for row, payment, _ in decided}


def leased_row(transaction: Transaction, owner: UUID | None, lease_s: float) -> dict[str, object]:
    """A new transaction's row with its lease, which is counted on the database's clock."""
    return transaction_row(transaction) | {"owner": owner, "lease_s": lease_s}


def insert_transactions(writes: Writes, rows: Sequence[dict[str, object]]) -> None:
    """Inserts transactions made by `leased_row`."""
    if rows:
        writes.execute(_INSERT_TRANSACTIONS, {"rows": dumps(rows)})


def _finish_blocked(writes: Writes, blocked: Sequence[tuple[OpenPayment, Payment]]) -> None:
    """Ends payments that the rules blocked: nothing is asked of a processor, so there is no second transaction."""
    if not blocked:
        return
    changes = [
        {
            "merchant_id": payment.merchant_id,
            "id": payment.id,
            "state": payment.state,
            "failure": payment.failure,
        }
        for _, payment in blocked
    ]
    writes.execute(_FAIL_BLOCKED, {"rows": dumps(changes)})
    store_answers(
        writes,
        [(row.claim.hold, {"payment": snapshot(payment)}) for row, payment in blocked],
    )
    events = [
        event_row(payment, row.transaction.id, "payment.failed", {"payment": snapshot(payment)})
        for row, payment in blocked
    ]
    writes.execute(INSERT_EVENTS, {"rows": dumps(events)})


def event_row(payment: Payment, transaction_id: UUID, kind: str, data: Mapping[str, object]) -> dict[str, object]:
    """An event for the merchant; numbered later, by one sequencer."""
    return {
        "merchant_id": payment.merchant_id,
        "id": new_id(),
        "type": kind,
        "payment_id": payment.id,
        "transaction_id": transaction_id,
        "data": data,
    }
