"""Finds the account of a payment or a webhook: the merchant's own, else the platform's. Called by use cases."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ParamSpec
from uuid import UUID

import orjson
from sqlalchemy import Connection

from server.domain.errors import KassaError, Reason
from server.processors.contract import Account
from server.storage.processor_accounts import (
    Choice,
    SealedAccount,
    every_account_id,
    read_accounts_by_id,
    read_choices,
)
from server.storage.sealing import SealBroken, Sealing
from server.storage.short_transactions import ShortTransactions
from server.usecases.merchants import require_merchant
from server.usecases.processor_accounts import credentials_row
from server.usecases.remembered import Remembered

PLATFORM_ACCOUNTS: Mapping[str, UUID] = MappingProxyType({"stripe": UUID(int=1), "paypal": UUID(int=2)})
"""Fixed ids of the platform's own accounts, which settings describe and no table holds."""

P = ParamSpec("P")
_Asked = tuple[UUID, str]
"""A merchant and a processor."""
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
        self._for_merchant = Remembered(self._read_for_merchants, kept_s=cached_s, most=_CACHED_ACCOUNTS)
        self._by_id = Remembered(self._read_by_ids, kept_s=cached_s, most=_CACHED_ACCOUNTS)

    async def for_merchant(self, merchant_id: UUID, processor: str) -> Account:
        """Returns the account that a merchant's new payments go to.

        Raises:
            KassaError: PROCESSOR_NOT_CONFIGURED: neither the merchant nor, for its mode, the platform has one;
                MERCHANT_NOT_FOUND, SERVICE_UNAVAILABLE.
        """
        return await self._for_merchant.find((merchant_id, processor))

    async def by_id(self, account_id: UUID) -> Account:
        """Returns an account whoever owns it, active or not.

        Raises:
            KassaError: PROCESSOR_ACCOUNT_NOT_FOUND; PROCESSOR_NOT_CONFIGURED: it is the platform's, and settings do
                not describe it (any more); SERVICE_UNAVAILABLE.
        """
        if account_id in self._platform_by_id:
            return self._platform_by_id[account_id]
        for processor, platform_id in PLATFORM_ACCOUNTS.items():
            if account_id == platform_id:
                raise _not_configured(processor)
        return await self._by_id.find(account_id)

    async def every_id(self) -> list[UUID]:
        """Returns the ids of all accounts, the platform's own first."""
        return [*self._platform_by_id, *await self._transactions.read(every_account_id)]

    async def _read_for_merchants(self, asked: Sequence[_Asked]) -> dict[_Asked, Account | Exception]:
        return await self._transactions.read(self._choose_all, asked)

    def _choose_all(self, connection: Connection, asked: Sequence[_Asked]) -> dict[_Asked, Account | Exception]:
        choices = read_choices(connection, asked)
        return {one: _or_error(self._choose, choices.get(one), one[1]) for one in asked}

    def _choose(self, found: Choice | None, processor: str) -> Account:
        choice = require_merchant(found)
        if choice.own is not None:
            return self._open(choice.own)
        shared = self._platform.get(processor)
        # Test money and real money never meet: the platform's account serves merchants of its own mode alone.
        if shared is None or shared.test_mode != choice.test_mode:
            raise _not_configured(processor)
        return shared

    async def _read_by_ids(self, account_ids: Sequence[UUID]) -> dict[UUID, Account | Exception]:
        return await self._transactions.read(self._open_all, account_ids)

    def _open_all(self, connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Account | Exception]:
        found = read_accounts_by_id(connection, account_ids)
        return {one: _or_error(self._open_found, found.get(one)) for one in account_ids}

    def _open_found(self, found: SealedAccount | None) -> Account:
        if found is None:
            raise KassaError(Reason.PROCESSOR_ACCOUNT_NOT_FOUND, "There is no such processor account.")
        return self._open(found)

    def _open(self, found: SealedAccount) -> Account:
        account = found.account
        credentials = self._sealing.open(found.credentials, credentials_row(account.merchant_id, account.id))
        return Account(account.id, account.merchant_id, account.processor, account.test_mode, orjson.loads(credentials))


def _or_error(find: Callable[P, Account], *args: P.args, **kwargs: P.kwargs) -> Account | Exception:
    """Calls `find`; what is wrong with one account is none of the others' business."""
    try:
        return find(*args, **kwargs)
    except (KassaError, SealBroken) as error:
        return error


def _not_configured(processor: str) -> KassaError:
    return KassaError(
        Reason.PROCESSOR_NOT_CONFIGURED,
        f"No {processor} account is configured for this merchant and its mode.",
        metadata={"processor": processor},
    )
