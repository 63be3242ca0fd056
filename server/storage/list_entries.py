"""The fraud_list_entries table: nothing is deleted, what is taken away is marked. Called by `usecases.list_entries`.

Servers hold a snapshot and look each second whether `changed_at` has risen. Writers therefore come one after the other,
so that it rises in the order of their commits.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id
from server.domain.list_entry import ListEntry, NewListEntry

_COLUMNS = "merchant_id, id, list_name, value, author, reason, created_at, expires_at, removed_at, removed_by"
_IN_TURN = text("SELECT pg_advisory_xact_lock(hashtext('kassa.fraud_list_entries'))")
_NOW = text("""
    SELECT GREATEST(clock_timestamp(), max(changed_at) + interval '1 microsecond') FROM fraud_list_entries
""")
_STANDING = text(f"""
    SELECT {_COLUMNS} FROM fraud_list_entries
    WHERE merchant_id = :merchant_id AND list_name = :list_name AND value = :value AND removed_at IS NULL
""")
_ADD = text(f"""
    INSERT INTO fraud_list_entries ({_COLUMNS}, changed_at)
    VALUES (:merchant_id, :id, :list_name, :value, :author, :reason, :now, :expires_at, NULL, '', :now)
    RETURNING {_COLUMNS}
""")
_REMOVE = text(f"""
    UPDATE fraud_list_entries SET removed_at = :now, removed_by = :removed_by, changed_at = :now
    WHERE merchant_id = :merchant_id AND id = :id AND removed_at IS NULL RETURNING {_COLUMNS}
""")
_GET = text(f"""
    SELECT {_COLUMNS} FROM fraud_list_entries
    WHERE id = :id AND (CAST(:merchant_id AS uuid) IS NULL OR merchant_id = :merchant_id)
""")
_SNAPSHOT = text(f"""
    SELECT {_COLUMNS} FROM fraud_list_entries WHERE removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")
_CHANGED = text("SELECT max(changed_at) FROM fraud_list_entries")
_FILTERS = {
    "merchant_id": "merchant_id = :merchant_id",
    "list_name": "list_name = :list_name",
    "value": "value = :value",
    "before": "id < :before",
}
_PRESENT = "removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())"


@dataclass(frozen=True, slots=True)
class ListEntryFilter:
    """Which entries a list holds; None takes all."""

    merchant_id: UUID | None = None
    list_name: str | None = None
    value: str | None = None
    include_past: bool = False

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list by a value."""
        fields = {"merchant_id": self.merchant_id, "list_name": self.list_name, "value": self.value}
        return {name: value for name, value in fields.items() if value is not None}


def add_list_entry(connection: Connection, new: NewListEntry) -> ListEntry:
    """Puts a value on a list, in the place of an entry of the same value; an equal one is left as it stands."""
    connection.execute(_IN_TURN)
    fields = {"merchant_id": new.merchant_id, "list_name": new.list_name, "value": new.value}
    row = connection.execute(_STANDING, fields).mappings().first()
    if row is not None:
        standing = ListEntry(**row)
        if (standing.author, standing.reason, standing.expires_at) == (new.author, new.reason, new.expires_at):
            return standing
        _mark_removed(connection, standing, new.author)
    values = fields | {"author": new.author, "reason": new.reason, "expires_at": new.expires_at}
    now = connection.scalar(_NOW)
    return ListEntry(**connection.execute(_ADD, values | {"id": new_id(), "now": now}).mappings().one())


def remove_list_entry(connection: Connection, merchant_id: UUID | None, entry_id: UUID, removed_by: str) -> ListEntry:
    """Takes a value off its list; what was removed stays as it was removed.

    Args:
        merchant_id: Whose entry it must be; None for the platform, which removes any.

    Raises:
        KassaError: LIST_ENTRY_NOT_FOUND.
    """
    connection.execute(_IN_TURN)
    row = connection.execute(_GET, {"id": entry_id, "merchant_id": merchant_id}).mappings().first()
    if row is None:
        raise KassaError(Reason.LIST_ENTRY_NOT_FOUND, "There is no such list entry.")
    entry = ListEntry(**row)
    return entry if entry.removed_at is not None else _mark_removed(connection, entry, removed_by)


def _mark_removed(connection: Connection, entry: ListEntry, removed_by: str) -> ListEntry:
    now = connection.scalar(_NOW)
    values = {"merchant_id": entry.merchant_id, "id": entry.id, "now": now, "removed_by": removed_by}
    return ListEntry(**connection.execute(_REMOVE, values).mappings().one())


def list_list_entries(
    connection: Connection, wanted: ListEntryFilter, before: UUID | None, size: int
) -> list[ListEntry]:
    """Reads at most `size` entries, newest first, older than the id `before`."""
    values = wanted.set_fields() | ({} if before is None else {"before": before})
    conditions = [_FILTERS[name] for name in values] + ([] if wanted.include_past else [_PRESENT])
    where = " AND ".join(conditions) or "true"
    statement = text(f"SELECT {_COLUMNS} FROM fraud_list_entries WHERE {where} ORDER BY id DESC LIMIT :size")
    return [ListEntry(**row) for row in connection.execute(statement, values | {"size": size}).mappings()]


def lists_changed_at(connection: Connection) -> datetime | None:
    """When any list last changed; None while nothing was ever added."""
    changed: datetime | None = connection.scalar(_CHANGED)
    return changed


def read_list_entries(connection: Connection) -> list[ListEntry]:
    """Reads every entry that counts now, of all merchants."""
    return [ListEntry(**row) for row in connection.execute(_SNAPSHOT).mappings()]
