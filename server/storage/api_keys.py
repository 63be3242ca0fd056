"""The api_keys table: hashes alone, never a key. Called by `usecases.api_keys` and `usecases.authenticate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row

from server.domain.merchant import ApiKey
from server.storage.prepared import prepared, read

_COLUMNS = "id, merchant_id, name, last4, created_at, revoked_at"
_OWNERS = prepared("""
    SELECT k.key_hash, k.merchant_id, m.test_mode, m.time_zone, m.created_at, m.max_daily_transactions
    FROM api_keys k LEFT JOIN merchants m ON m.id = k.merchant_id
    WHERE k.key_hash = ANY (CAST(:key_hashes AS bytea[])) AND k.revoked_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whom a key speaks for; `merchant_id` is None for the platform."""

    merchant_id: UUID | None
    test_mode: bool
    time_zone: str
    merchant_since: datetime | None = None
    max_daily_transactions: int = 0


def insert_api_key(connection: Connection, key: ApiKey, key_hash: bytes) -> None:
    """Adds a key."""
    connection.execute(
        prepared(
            "INSERT INTO api_keys (key_hash, id, merchant_id, name, last4, created_at) "
            "VALUES (:key_hash, :id, :merchant_id, :name, :last4, :created_at)"
        ),
        {
            "key_hash": key_hash,
            "id": key.id,
            "merchant_id": key.merchant_id,
            "name": key.name,
            "last4": key.last4,
            "created_at": key.created_at,
        },
    )


def read_key_owners(connection: Connection, key_hashes: Sequence[bytes]) -> dict[bytes, KeyOwner]:
    """Returns whose keys have these hashes; a key that does not exist or is revoked is left out."""
    rows = read(connection, _OWNERS, {"key_hashes": list(key_hashes)}).rows
    return {bytes(row[0]): _key_owner(*row[1:]) for row in rows}


def _key_owner(
    merchant_id: UUID | None, test_mode: bool | None, time_zone: str | None, since: datetime | None, limit: int | None
) -> KeyOwner:
    """Reads a row whose merchant's part is empty where the key is the platform's."""
    return KeyOwner(merchant_id, bool(test_mode), time_zone or "UTC", since, limit or 0)


def list_api_keys(connection: Connection, merchant_id: UUID, before: UUID | None, limit: int) -> list[ApiKey]:
    """Returns up to `limit` keys of a merchant that were made before `before`, newest first, revoked ones too."""
    rows = connection.execute(
        prepared(
            f"SELECT {_COLUMNS} FROM api_keys WHERE merchant_id = :merchant_id "
            "AND (CAST(:before AS uuid) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"
        ),
        {"merchant_id": merchant_id, "before": before, "limit": limit},
    )
    return [_api_key(row) for row in rows]


def revoke_api_key(connection: Connection, merchant_id: UUID, key_id: UUID, now: datetime) -> ApiKey | None:
    """Revokes a key and returns it, None where the merchant has no such key; revoking twice changes nothing."""
    row = connection.execute(
        prepared(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, :now) "
            f"WHERE merchant_id = :merchant_id AND id = :id RETURNING {_COLUMNS}"
        ),
        {"merchant_id": merchant_id, "id": key_id, "now": now},
    ).first()
    return None if row is None else _api_key(row)


def _api_key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(**row._mapping)
