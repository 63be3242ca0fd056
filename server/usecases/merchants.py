"""Administers merchants. Called by `rpc` for platform keys; a merchant may read itself."""

from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from server.clock import utc_now
from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id
from server.domain.merchant import Merchant
from server.storage.merchants import insert_merchant, list_merchants, lock_merchant, read_merchant, update_merchant
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.newest_first import NewestFirst

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class MerchantDetails:
    """What a merchant is made of. `default_currency` and `time_zone` may be empty when it is created, and 0 sets no
    daily limit of its own."""

    name: str
    country: str
    time_zone: str
    default_currency: str
    max_daily_transactions: int = 0


@dataclass(frozen=True, slots=True)
class MerchantChanges:
    """What shall become different; None stays."""

    name: str | None = None
    country: str | None = None
    time_zone: str | None = None
    default_currency: str | None = None
    max_daily_transactions: int | None = None


class Merchants:
    """Creates, reads, changes and lists merchants.

    Args:
        default_currency: ISO 4217; of merchants that name none.
    """

    def __init__(self, transactions: ShortTransactions, pages: NewestFirst, *, default_currency: str) -> None:
        self._transactions, self._pages, self._default_currency = transactions, pages, default_currency

    async def create(self, details: MerchantDetails, *, test_mode: bool) -> Merchant:
        """Adds a merchant; its mode stands for ever."""
        now = utc_now()
        merchant = Merchant(
            id=new_id(),
            name=details.name,
            test_mode=test_mode,
            country=details.country,
            time_zone=details.time_zone or "UTC",
            default_currency=details.default_currency or self._default_currency,
            created_at=now,
            updated_at=now,
            max_daily_transactions=details.max_daily_transactions,
        )
        await self._transactions.run(insert_merchant, merchant)
        return merchant

    async def get(self, merchant_id: UUID) -> Merchant:
        """Returns a merchant.

        Raises:
            KassaError: MERCHANT_NOT_FOUND.
        """
        return require_merchant(await self._transactions.run(read_merchant, merchant_id))

    async def update(self, merchant_id: UUID, changes: MerchantChanges) -> Merchant:
        """Changes a merchant and returns it.

        Raises:
            KassaError: MERCHANT_NOT_FOUND.
        """
        return await self._transactions.run(_update, merchant_id, changes)

    async def list(self, page_size: int, page_token: str) -> Page[Merchant]:
        """Lists merchants, newest first.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """
        return await self._pages.read("merchants", page_size, page_token, list_merchants)


def _update(connection: Connection, merchant_id: UUID, changes: MerchantChanges) -> Merchant:
    stands = require_merchant(lock_merchant(connection, merchant_id))
    changed = replace(
        stands,
        name=stands.name if changes.name is None else changes.name,
        country=stands.country if changes.country is None else changes.country,
        time_zone=stands.time_zone if changes.time_zone is None else changes.time_zone,
        default_currency=stands.default_currency if changes.default_currency is None else changes.default_currency,
        max_daily_transactions=stands.max_daily_transactions
        if changes.max_daily_transactions is None
        else changes.max_daily_transactions,
        updated_at=utc_now(),
    )
    update_merchant(connection, changed)
    return changed


def require_merchant(found: Found | None) -> Found:
    """Returns what was looked up of a merchant.

    Raises:
        KassaError: MERCHANT_NOT_FOUND: nothing was found.
    """
    if found is None:
        raise KassaError(Reason.MERCHANT_NOT_FOUND, "There is no such merchant.")
    return found
