"""The processor_accounts table; credentials pass through here sealed. Called by use cases inside short transactions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text

from server.domain.merchant import ProcessorAccount
from server.storage.prepared import prepared, read
from server.storage.rows import columns

_COLUMNS = "id, merchant_id, processor, test_mode, active, created_at, updated_at"
_CHOICE = prepared(f"""
    SELECT m.test_mode AS merchants_test_mode, {columns(_COLUMNS.split(", "), "a")}, a.credentials
    FROM merchants m
    LEFT JOIN processor_accounts a
        ON a.merchant_id = m.id AND a.processor = CAST(:processor AS text) AND a.active
    WHERE m.id = CAST(:merchant_id AS uuid)
""")


@dataclass(frozen=True, slots=True)
class SealedAccount:
    """An account with its credentials as stored."""

    account: ProcessorAccount
    credentials: bytes


@dataclass(frozen=True, slots=True)
class Choice:
    """The account that a merchant's new payments go to, None where it has none of its own; and the merchant's mode."""

    test_mode: bool
    own: SealedAccount | None


def insert_account(connection: Connection, account: ProcessorAccount, credentials: bytes) -> None:
    """Adds an account; one that is active takes over from the active account of the same processor.

    The merchant must be locked (`lock_merchant`).
    """
    if account.active:
        _deactivate_others(connection, account, account.updated_at)
    connection.execute(
        text(
            f"INSERT INTO processor_accounts ({_COLUMNS}, credentials) VALUES "
            "(:id, :merchant_id, :processor, :test_mode, :active, :created_at, :updated_at, :credentials)"
        ),
        {
            "id": account.id,
            "merchant_id": account.merchant_id,
            "processor": account.processor,
            "test_mode": account.test_mode,
            "active": account.active,
            "created_at": account.created_at,
            "updated_at": account.updated_at,
            "credentials": credentials,
        },
    )


def update_account(connection: Connection, account: ProcessorAccount, credentials: bytes | None) -> None:
    """Writes whether an account is active, and new credentials where there are some. The merchant must be locked."""
    if account.active:
        _deactivate_others(connection, account, account.updated_at)
    connection.execute(
        text(
            "UPDATE processor_accounts SET active = :active, credentials = COALESCE(:credentials, credentials), "
            "updated_at = :now WHERE merchant_id = :merchant_id AND id = :id"
        ),
        {
            "merchant_id": account.merchant_id,
            "id": account.id,
            "active": account.active,
            "credentials": credentials,
            "now": account.updated_at,
        },
    )


def read_account(connection: Connection, merchant_id: UUID, account_id: UUID) -> ProcessorAccount | None:
    """Returns an account of a merchant, None where it has no such account."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM processor_accounts WHERE merchant_id = :merchant_id AND id = :id"),
        {"merchant_id": merchant_id, "id": account_id},
    ).first()
    return None if row is None else _account(row)


def read_choice(connection: Connection, merchant_id: UUID, processor: str) -> Choice | None:
    """Returns the account of a processor that a merchant's new payments go to; None where there is no such merchant."""
    found = read(connection, _CHOICE, {"merchant_id": str(merchant_id), "processor": processor}).mappings()
    if not found:
        return None
    [row] = found
    test_mode, credentials = row.pop("merchants_test_mode"), row.pop("credentials")
    own = None if row["id"] is None else SealedAccount(ProcessorAccount(**row), bytes(credentials))
    return Choice(test_mode, own)


def read_account_by_id(connection: Connection, account_id: UUID) -> SealedAccount | None:
    """Returns an account whoever owns it: a webhook's path names the account alone."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS}, credentials FROM processor_accounts WHERE id = :id"), {"id": account_id}
    ).first()
    return None if row is None else _sealed_account(row)


def every_account_id(connection: Connection) -> list[UUID]:
    """Returns the ids of all merchants' accounts, those that take no new payments, too: disputes come late."""
    return list(connection.scalars(text("SELECT id FROM processor_accounts ORDER BY id")))


def list_accounts(connection: Connection, merchant_id: UUID, before: UUID | None, limit: int) -> list[ProcessorAccount]:
    """Returns up to `limit` accounts of a merchant that were made before `before`, newest first."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM processor_accounts WHERE merchant_id = :merchant_id "
            "AND (CAST(:before AS uuid) IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"
        ),
        {"merchant_id": merchant_id, "before": before, "limit": limit},
    )
    return [_account(row) for row in rows]


def _deactivate_others(connection: Connection, account: ProcessorAccount, now: datetime) -> None:
    connection.execute(
        text(
            "UPDATE processor_accounts SET active = false, updated_at = :now "
            "WHERE merchant_id = :merchant_id AND processor = :processor AND active AND id <> :id"
        ),
        {"merchant_id": account.merchant_id, "processor": account.processor, "id": account.id, "now": now},
    )


def _account(row: Row[tuple[object, ...]]) -> ProcessorAccount:
    return ProcessorAccount(**{name: value for name, value in row._mapping.items() if name != "credentials"})


def _sealed_account(row: Row[tuple[object, ...]]) -> SealedAccount:
    return SealedAccount(_account(row), bytes(row._mapping["credentials"]))
