"""Administers merchants' own processor accounts. Called by `rpc` for platform keys; credentials go in and never out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

import orjson
from sqlalchemy import Connection

from server.clock import utc_now
from server.domain.errors import InvalidField, KassaError, Reason
from server.domain.ids import new_id
from server.domain.merchant import ProcessorAccount
from server.storage.merchants import lock_merchant, read_merchant
from server.storage.processor_accounts import insert_account, list_accounts, read_account, update_account
from server.storage.sealing import Sealing
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.merchants import require_merchant
from server.usecases.newest_first import NewestFirst

# Credentials that tell their own mode, as Stripe's keys do (`sk_test_…`, `rk_live_…`).
_TELLS_MODE = re.compile(r"[a-z]{2,4}_(test|live)_")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account at a processor is reached with, by the adapter's credential names."""

    processor: str
    values: Mapping[str, str] = field(repr=False)


class ProcessorAccounts:
    """Creates, changes and lists processor accounts. An account is test or live as its merchant is, for ever.

    Args:
        credential_names: By processor, what an account there needs.
    """

    def __init__(
        self,
        transactions: ShortTransactions,
        pages: NewestFirst,
        sealing: Sealing,
        credential_names: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._transactions, self._pages, self._sealing = transactions, pages, sealing
        self._credential_names = credential_names

    async def create(self, merchant_id: UUID, credentials: Credentials) -> ProcessorAccount:
        """Adds an account, which takes over new payments from the merchant's former account there.

        Raises:
            InvalidField: A credential is missing or of the other mode.
            KassaError: MERCHANT_NOT_FOUND.
        """
        self._check_complete(credentials)
        return await self._transactions.run(self._create, merchant_id, credentials)

    async def get(self, merchant_id: UUID, account_id: UUID) -> ProcessorAccount:
        """Returns an account.

        Raises:
            KassaError: PROCESSOR_ACCOUNT_NOT_FOUND.
        """
        return _require(await self._transactions.run(read_account, merchant_id, account_id))

    async def update(
        self, merchant_id: UUID, account_id: UUID, *, credentials: Credentials | None, active: bool | None
    ) -> ProcessorAccount:
        """Replaces an account's credentials, activates it or puts it to rest; None stays.

        Raises:
            InvalidField: A credential is missing, of the other mode or of another processor.
            KassaError: PROCESSOR_ACCOUNT_NOT_FOUND.
        """
        if credentials is not None:
            self._check_complete(credentials)
        return await self._transactions.run(self._update, merchant_id, account_id, credentials, active)

    async def list(self, merchant_id: UUID, page_size: int, page_token: str) -> Page[ProcessorAccount]:
        """Lists a merchant's accounts, newest first.

        Raises:
            KassaError: MERCHANT_NOT_FOUND, PAGE_TOKEN_INVALID.
        """
        require_merchant(await self._transactions.run(read_merchant, merchant_id))
        return await self._pages.read(
            f"processor_accounts:{merchant_id}",
            page_size,
            page_token,
            lambda connection, before, limit: list_accounts(connection, merchant_id, before, limit),
        )

    def _create(self, connection: Connection, merchant_id: UUID, credentials: Credentials) -> ProcessorAccount:
        merchant = require_merchant(lock_merchant(connection, merchant_id))
        _check_mode(credentials, test_mode=merchant.test_mode)
        now = utc_now()
        account = ProcessorAccount(
            id=new_id(),
            merchant_id=merchant_id,
            processor=credentials.processor,
            test_mode=merchant.test_mode,
            active=True,
            created_at=now,
            updated_at=now,
        )
        insert_account(connection, account, self._seal(account, credentials))
        return account

    def _update(
        self,
        connection: Connection,
        merchant_id: UUID,
        account_id: UUID,
        credentials: Credentials | None,
        active: bool | None,
    ) -> ProcessorAccount:
        lock_merchant(connection, merchant_id)
        stands = _require(read_account(connection, merchant_id, account_id))
        sealed = None
        if credentials is not None:
            if credentials.processor != stands.processor:
                raise InvalidField(credentials.processor, f"cannot be set: this is an account at {stands.processor}")
            _check_mode(credentials, test_mode=stands.test_mode)
            sealed = self._seal(stands, credentials)
        changed = replace(stands, active=stands.active if active is None else active, updated_at=utc_now())
        update_account(connection, changed, sealed)
        return changed

    def _check_complete(self, credentials: Credentials) -> None:
        for name in self._credential_names[credentials.processor]:
            if not credentials.values.get(name):
                raise InvalidField(f"{credentials.processor}.{name}", "is required")

    def _seal(self, account: ProcessorAccount, credentials: Credentials) -> bytes:
        plaintext = orjson.dumps(dict(credentials.values))
        return self._sealing.seal(plaintext, credentials_row(account.merchant_id, account.id))


def credentials_row(merchant_id: UUID, account_id: UUID) -> bytes:
    """Returns what binds sealed credentials to their row."""
    return b"processor_accounts" + merchant_id.bytes + account_id.bytes


def _check_mode(credentials: Credentials, *, test_mode: bool) -> None:
    mode = "test" if test_mode else "live"
    for name, value in credentials.values.items():
        told = _TELLS_MODE.match(value)
        if told is not None and told[1] != mode:
            raise InvalidField(f"{credentials.processor}.{name}", f"must be of {mode} mode, as the merchant is")


def _require(found: ProcessorAccount | None) -> ProcessorAccount:
    if found is None:
        raise KassaError(Reason.PROCESSOR_ACCOUNT_NOT_FOUND, "The merchant has no such processor account.")
    return found
