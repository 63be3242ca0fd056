"""Finds the account of a payment or a webhook: the merchant's own, else the platform's. Called by use cases."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

import orjson
from async_lru import alru_cache
from sqlalchemy import Connection

from server.domain.errors import KassaError, Reason
from server.processors.contract import Account
from server.storage.processor_accounts import SealedAccount, every_account_id, read_account_by_id, read_choice
from server.storage.sealing import Sealing
from server.storage.short_transactions import ShortTransactions
from server.usecases.merchants import require_merchant
from server.usecases.processor_accounts import credentials_row

PLATFORM_ACCOUNTS: Mapping[str, UUID] = MappingProxyType({"stripe": UUID(int=1), "paypal": UUID(int=2)})
"""Fixed ids of the platform's own accounts, which settings describe and no table holds."""

CACHED_S = 4.0
_CACHED_ACCOUNTS = 10_000


def platform_account(processor: str, credentials: Mapping[str, str], *, test_mode: bool) -> Account:
    """Describes the platform's own account at a processor."""
    return Account(PLATFORM_ACCOUNTS[processor], None, processor, test_mode, MappingProxyType(dict(credentials)))


class Accounts:
    """Reads accounts with their credentials, and remembers them for a few seconds.

    Args:
        platform: The platform's own accounts, as `platform_account` makes them; those configured, possibly none.
        cached_s: Seconds for which an account is remembered; a change is in force everywhere after that.
    """

    def __init__(
        self,
        transactions: ShortTransactions,
        sealing: Sealing,
        platform: tuple[Account, ...],
        *,
        cached_s: float = CACHED_S,
    ) -> None:
        self._transactions, self._sealing = transactions, sealing
        self._platform = {account.processor: account for account in platform}
        self._platform_by_id = {account.id: account for account in platform}
        # Callers who ask for the same account at once share one look-up.
        self._find_for_merchant = alru_cache(maxsize=_CACHED_ACCOUNTS, ttl=cached_s)(self._read_for_merchant)
        self._find_by_id = alru_cache(maxsize=_CACHED_ACCOUNTS, ttl=cached_s)(self._read_by_id)

    async def for_merchant(self, merchant_id: UUID, processor: str) -> Account:
        """Returns the account that a merchant's new payments go to.

        Raises:
            KassaError: PROCESSOR_NOT_CONFIGURED: neither the merchant nor, for its mode, the platform has one;
                MERCHANT_NOT_FOUND, SERVICE_UNAVAILABLE.
        """
        return await self._find_for_merchant(merchant_id, processor)

    async def by_id(self, account_id: UUID) -> Account:
        """Returns an account whoever owns it, active or not.

        Raises:
            KassaError: PROCESSOR_ACCOUNT_NOT_FOUND; PROCESSOR_NOT_CONFIGURED: it is the platform's, and settings do
                not describe it (any more); SERVICE_UNAVAILABLE.
        """
        if account_id in self._platform_by_id:
            return self._platform_by_id[account_id]
        return await self._find_by_id(account_id)

    async def every_id(self) -> list[UUID]:
        """Returns the ids of all accounts, the platform's own first."""
        return [*self._platform_by_id, *await self._transactions.read(every_account_id)]

    async def _read_for_merchant(self, merchant_id: UUID, processor: str) -> Account:
        return await self._transactions.read(self._choose, merchant_id, processor)

    def _choose(self, connection: Connection, merchant_id: UUID, processor: str) -> Account:
        choice = require_merchant(read_choice(connection, merchant_id, processor))
        if choice.own is not None:
            return self._open(choice.own)
        shared = self._platform.get(processor)
        # Test money and real money never meet: the platform's account serves merchants of its own mode alone.
        if shared is None or shared.test_mode != choice.test_mode:
            raise _not_configured(processor)
        return shared

    async def _read_by_id(self, account_id: UUID) -> Account:
        for processor, platform_id in PLATFORM_ACCOUNTS.items():
            if account_id == platform_id:
                raise _not_configured(processor)
        found = await self._transactions.read(read_account_by_id, account_id)
        if found is None:
            raise KassaError(Reason.PROCESSOR_ACCOUNT_NOT_FOUND, "There is no such processor account.")
        return self._open(found)

    def _open(self, found: SealedAccount) -> Account:
        account = found.account
        credentials = self._sealing.open(found.credentials, credentials_row(account.merchant_id, account.id))
        return Account(account.id, account.merchant_id, account.processor, account.test_mode, orjson.loads(credentials))


def _not_configured(processor: str) -> KassaError:
    return KassaError(
        Reason.PROCESSOR_NOT_CONFIGURED,
        f"No {processor} account is configured for this merchant and its mode.",
        metadata={"processor": processor},
    )
