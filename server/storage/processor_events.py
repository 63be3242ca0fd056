"""Inbound webhooks: stored before they are handled, once per account and event id. Called by the event use cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from server.crash_points import durable

_STORE = text("""
    INSERT INTO processor_events (account_id, event_id, processor, type, subject, processor_payment_id,
                                  processor_object_id, transaction_id, body, attempts, created_at)
    VALUES (:account_id, :event_id, :processor, :type, :subject, :processor_payment_id, :processor_object_id,
            :transaction_id, :body, 0, :created_at)
    ON CONFLICT DO NOTHING
""")
_COLUMNS = """account_id, event_id, processor, type, subject, processor_payment_id, processor_object_id,
              transaction_id, attempts, created_at, handled_at IS NOT NULL AS handled"""
_GET = text(f"SELECT {_COLUMNS} FROM processor_events WHERE account_id = :account_id AND event_id = :event_id")
_UNHANDLED_ACCOUNTS = text("""
    SELECT DISTINCT account_id FROM processor_events WHERE handled_at IS NULL AND next_attempt_at < now()
""")
_UNHANDLED = text(f"""
    SELECT {_COLUMNS} FROM processor_events
    WHERE handled_at IS NULL AND account_id = :account_id AND next_attempt_at < now()
    ORDER BY next_attempt_at LIMIT :size
""")
_HANDLED = text("""
    UPDATE processor_events
    SET handled_at = now(), result = :result, attempts = attempts + 1,
        merchant_id = COALESCE(CAST(:merchant_id AS uuid), merchant_id),
        payment_id = COALESCE(CAST(:payment_id AS uuid), payment_id)
    WHERE account_id = :account_id AND event_id = :event_id AND handled_at IS NULL
""")
_POSTPONE = text("""
    UPDATE processor_events
    SET attempts = attempts + 1, result = :result, next_attempt_at = now() + :pause_s * interval '1 second',
        merchant_id = COALESCE(CAST(:merchant_id AS uuid), merchant_id),
        payment_id = COALESCE(CAST(:payment_id AS uuid), payment_id)
    WHERE account_id = :account_id AND event_id = :event_id AND handled_at IS NULL
""")
_OWNER = text("""
    SELECT merchant_id, payment_id, transaction_id FROM processor_objects
    WHERE account_id = :account_id AND object_id = ANY(:object_ids)
    ORDER BY array_position(:object_ids, object_id) LIMIT 1
""")
_UNKNOWN = text("""
    SELECT q.object_id FROM unnest(CAST(:object_ids AS text[])) AS q(object_id)
    WHERE NOT EXISTS (SELECT 1 FROM processor_objects o
                      WHERE o.account_id = :account_id AND o.object_id = q.object_id)
""")
_TRANSACTION_OWNER = text("""
    SELECT merchant_id, payment_id, id AS transaction_id FROM transactions
    WHERE id = :transaction_id AND processor_account_id = :account_id
""")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A verified webhook as stored; field by field what `processors.contract.ProcessorEvent` says."""

    account_id: UUID
    event_id: str
    processor: str
    type: str
    subject: str
    processor_payment_id: str
    processor_object_id: str
    transaction_id: UUID | None
    attempts: int
    created_at: datetime
    handled: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose payment an event is about, and which transaction of it."""

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID


@durable
def store_event(connection: Connection, event: StoredEvent, body: bytes) -> StoredEvent:
    """Stores an event once, and returns it as it stands, handled or not."""
    values = {name: getattr(event, name) for name in StoredEvent.__slots__} | {"body": body}
    connection.execute(_STORE, values)
    return StoredEvent(**connection.execute(_GET, values).mappings().one())


def accounts_with_unhandled_events(connection: Connection) -> list[UUID]:
    """Returns the accounts of events whose time to be handled has come."""
    return list(connection.scalars(_UNHANDLED_ACCOUNTS))


def unhandled_events(connection: Connection, account_id: UUID, size: int) -> list[StoredEvent]:
    """Returns an account's events whose time to be handled has come, longest due first."""
    values = {"account_id": account_id, "size": size}
    return [StoredEvent(**row) for row in connection.execute(_UNHANDLED, values).mappings()]


@durable
def mark_handled(connection: Connection, event: StoredEvent, result: str, owner: Owner | None = None) -> None:
    """Ends an event; `result` says in a word what came of it, `owner` on whose payment's timeline it belongs."""
    connection.execute(_HANDLED, _ending(event, result, owner))


@durable
def postpone_event(
    connection: Connection, event: StoredEvent, result: str, pause_s: float, owner: Owner | None = None
) -> None:
    """Leaves an event for the sweep, not before `pause_s` seconds from now."""
    connection.execute(_POSTPONE, _ending(event, result, owner) | {"pause_s": pause_s})


def _ending(event: StoredEvent, result: str, owner: Owner | None) -> dict[str, object]:
    return {
        "account_id": event.account_id,
        "event_id": event.event_id,
        "result": result,
        "merchant_id": None if owner is None else owner.merchant_id,
        "payment_id": None if owner is None else owner.payment_id,
    }


def find_owner(connection: Connection, event: StoredEvent) -> Owner | None:
    """Finds the payment of an event among those of its account: by our reference, else by the processor's ids."""
    if event.transaction_id is not None:
        values = {"transaction_id": event.transaction_id, "account_id": event.account_id}
        row = connection.execute(_TRANSACTION_OWNER, values).mappings().first()
        if row is not None:
            return Owner(**row)
    ids = [one for one in (event.processor_object_id, event.processor_payment_id) if one]
    return find_object(connection, event.account_id, ids)


def find_object(connection: Connection, account_id: UUID, object_ids: Sequence[str]) -> Owner | None:
    """Finds whose the first known of a processor's objects is, among those of an account."""
    row = connection.execute(_OWNER, {"account_id": account_id, "object_ids": list(object_ids)}).mappings().first()
    return None if row is None else Owner(**row)


def unknown_objects(connection: Connection, account_id: UUID, object_ids: Sequence[str]) -> list[str]:
    """Returns those of a processor's ids that nothing of ours is known by."""
    values = {"account_id": account_id, "object_ids": list(object_ids)}
    return list(connection.scalars(_UNKNOWN, values))
