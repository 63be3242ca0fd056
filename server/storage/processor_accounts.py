"""The processor_accounts table; credentials pass through here sealed. Called by use cases inside short transactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text

from server.domain.merchant import ProcessorAccount
from server.storage.engine import dumps
from server.storage.prepared import prepared, read
from server.storage.rows import columns

_COLUMNS = "id, merchant_id, processor, test_mode, active, created_at, updated_at"
_CHOICES = prepared(f"""
    SELECT q.merchant_id AS asked_merchant_id, q.processor AS asked_processor, m.test_mode AS merchants_test_mode,
           {columns(_COLUMNS.split(", "), "a")}, a.credentials
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(merchant_id uuid, processor text)
    JOIN merchants m ON m.id = q.merchant_id
    LEFT JOIN processor_accounts a ON a.merchant_id = m.id AND a.processor = q.processor AND a.active
""")

_BY_IDS = prepared(f"""
    SELECT {_COLUMNS}, credentials FROM processor_accounts WHERE id = ANY (CAST(CAST(:ids AS text[]) AS uuid[]))
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


def read_choices(connection: Connection, asked: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], Choice]:
    """Returns the accounts that new payments of these merchants at these processors go to.

    Merchants that do not exist are left out.
    """
    rows = dumps([{"merchant_id": merchant_id, "processor": processor} for merchant_id, processor in asked])
    found: dict[tuple[UUID, str], Choice] = {}
    for row in read(connection, _CHOICES, {"rows": rows}).mappings():
        key, test_mode = (row.pop("asked_merchant_id"), row.pop("asked_processor")), row.pop("merchants_test_mode")
        credentials = row.pop("credentials")
        own = None if row["id"] is None else SealedAccount(ProcessorAccount(**row), bytes(credentials))
        found[key] = Choice(test_mode, own)
    return found


def read_accounts_by_id(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, SealedAccount]:
    """Returns accounts whoever owns them, since a webhook's path names the account alone; unknown ones are left out."""
    rows = read(connection, _BY_IDS, {"ids": [str(one) for one in account_ids]}).mappings()
    return {row["id"]: SealedAccount(credentials=bytes(row.pop("credentials")), account=ProcessorAccount(**row))
            for row in rows}  # fmt: skip


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
