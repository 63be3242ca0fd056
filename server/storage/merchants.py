"""The merchants table. Called by `usecases.merchants` inside short transactions."""

from uuid import UUID

from sqlalchemy import Connection, Row, text

from server.domain.merchant import Merchant

_COLUMNS = "id, name, test_mode, country, time_zone, default_currency, created_at, updated_at, max_daily_transactions"


def insert_merchant(connection: Connection, merchant: Merchant) -> None:
    """Adds a merchant."""
    connection.execute(
        text(
            f"INSERT INTO merchants ({_COLUMNS}) VALUES "
            "(:id, :name, :test_mode, :country, :time_zone, :default_currency, :created_at, :updated_at, "
            ":max_daily_transactions)"
        ),
        {
            "id": merchant.id,
            "name": merchant.name,
            "test_mode": merchant.test_mode,
            "country": merchant.country,
            "time_zone": merchant.time_zone,
            "default_currency": merchant.default_currency,
            "created_at": merchant.created_at,
            "updated_at": merchant.updated_at,
            "max_daily_transactions": merchant.max_daily_transactions,
        },
    )


def read_merchant(connection: Connection, merchant_id: UUID) -> Merchant | None:
    """Returns a merchant, None where there is none."""
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM merchants WHERE id = :id"), {"id": merchant_id}).first()
    return None if row is None else _merchant(row)


def lock_merchant(connection: Connection, merchant_id: UUID) -> Merchant | None:
    """Returns a merchant and keeps others from changing it, or its accounts, until the transaction ends."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM merchants WHERE id = :id FOR NO KEY UPDATE"), {"id": merchant_id}
    ).first()
    return None if row is None else _merchant(row)


def update_merchant(connection: Connection, merchant: Merchant) -> None:
    """Writes what may change of a merchant: all but id, mode and the time of its making."""
    connection.execute(
        text(
            "UPDATE merchants SET name = :name, country = :country, time_zone = :time_zone, "
            "default_currency = :default_currency, max_daily_transactions = :max_daily_transactions, "
            "updated_at = :updated_at WHERE id = :id"
        ),
        {
            "id": merchant.id,
            "name": merchant.name,
            "country": merchant.country,
            "time_zone": merchant.time_zone,
            "default_currency": merchant.default_currency,
            "max_daily_transactions": merchant.max_daily_transactions,
            "updated_at": merchant.updated_at,
        },
    )


def list_merchants(connection: Connection, before: UUID | None, limit: int) -> list[Merchant]:
    """Returns up to `limit` merchants that were made before `before`, newest first."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM merchants WHERE (CAST(:before AS uuid) IS NULL OR id < :before) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_merchant(row) for row in rows]


def _merchant(row: Row[tuple[object, ...]]) -> Merchant:
    return Merchant(**row._mapping)
