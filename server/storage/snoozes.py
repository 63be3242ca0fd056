"""The rule_snoozes table: nothing is deleted, what is ended early is marked. Called by `usecases.snooze_rules`.

Servers look each second whether `changed_at` has risen. Writers therefore come one after the other, so that it rises in
the order of their commits, as in `storage.list_entries`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id
from server.domain.snooze import NewSnooze, Snooze

_COLUMNS = "id, rule, author, reason, created_at, expires_at, ended_at, ended_by"
_IN_TURN = text("SELECT pg_advisory_xact_lock(hashtext('kassa.rule_snoozes'))")
_NOW = text("SELECT GREATEST(clock_timestamp(), max(changed_at) + interval '1 microsecond') FROM rule_snoozes")
_PRESENT = "ended_at IS NULL AND expires_at > now()"
_STANDING = text(f"SELECT {_COLUMNS} FROM rule_snoozes WHERE rule = :rule AND {_PRESENT}")
_ADD = text(f"""
    INSERT INTO rule_snoozes ({_COLUMNS}, changed_at)
    VALUES (:id, :rule, :author, :reason, :now, :expires_at, NULL, '', :now) RETURNING {_COLUMNS}
""")
_END = text(f"""
    UPDATE rule_snoozes SET ended_at = :now, ended_by = :ended_by, changed_at = :now WHERE id = :id RETURNING {_COLUMNS}
""")
_GET = text(f"SELECT {_COLUMNS} FROM rule_snoozes WHERE id = :id")
_SNAPSHOT = text(f"SELECT {_COLUMNS} FROM rule_snoozes WHERE {_PRESENT} ORDER BY expires_at, id")
_CHANGED = text("SELECT max(changed_at) FROM rule_snoozes")


@dataclass(frozen=True, slots=True)
class SnoozeFilter:
    """Which snoozes a list holds; None takes those of all rules."""

    rule: str | None = None
    include_past: bool = False


def add_snooze(connection: Connection, new: NewSnooze) -> Snooze:
    """Silences a rule, in the place of a snooze that it has already; an equal one is left as it stands."""
    connection.execute(_IN_TURN)
    for row in connection.execute(_STANDING, {"rule": new.rule}).mappings().all():
        standing = Snooze(**row)
        if (standing.author, standing.reason, standing.expires_at) == (new.author, new.reason, new.expires_at):
            return standing
        _end(connection, standing, new.author)
    values = {"id": new_id(), "now": connection.scalar(_NOW), "rule": new.rule, "author": new.author}
    values |= {"reason": new.reason, "expires_at": new.expires_at}
    return Snooze(**connection.execute(_ADD, values).mappings().one())


def end_snooze(connection: Connection, snooze_id: UUID, ended_by: str) -> Snooze:
    """Lets a rule act again; what was ended already, or has ended by itself, stays as it is.

    Raises:
        KassaError: SNOOZE_NOT_FOUND.
    """
    connection.execute(_IN_TURN)
    row = connection.execute(_GET, {"id": snooze_id}).mappings().first()
    if row is None:
        raise KassaError(Reason.SNOOZE_NOT_FOUND, "There is no such snooze.")
    snooze, now = Snooze(**row), connection.scalar(_NOW)
    over = snooze.ended_at is not None or (now is not None and snooze.expires_at <= now)
    return snooze if over else _end(connection, snooze, ended_by)


def _end(connection: Connection, snooze: Snooze, ended_by: str) -> Snooze:
    values = {"id": snooze.id, "now": connection.scalar(_NOW), "ended_by": ended_by}
    return Snooze(**connection.execute(_END, values).mappings().one())


def list_snoozes(connection: Connection, wanted: SnoozeFilter, before: UUID | None, size: int) -> list[Snooze]:
    """Reads at most `size` snoozes, newest first, older than the id `before`."""
    values: dict[str, Any] = {"size": size}
    conditions = [] if wanted.include_past else [_PRESENT]
    for name, value, condition in (("rule", wanted.rule, "rule = :rule"), ("before", before, "id < :before")):
        if value is not None:
            values[name] = value
            conditions.append(condition)
    where = " AND ".join(conditions) or "true"
    statement = text(f"SELECT {_COLUMNS} FROM rule_snoozes WHERE {where} ORDER BY id DESC LIMIT :size")
    return [Snooze(**row) for row in connection.execute(statement, values).mappings()]


def snoozes_changed_at(connection: Connection) -> datetime | None:
    """When any snooze last changed; None while there never was one."""
    changed: datetime | None = connection.scalar(_CHANGED)
    return changed


def read_snoozes(connection: Connection) -> list[Snooze]:
    """Reads every snooze that counts now, those first that end soonest."""
    return [Snooze(**row) for row in connection.execute(_SNAPSHOT).mappings()]
