"""Issues, lists and revokes API keys. Called by `rpc` for platform keys, and by `cli` for the first platform key."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from server.clock import utc_now
from server.domain.api_key_secret import LIVE, PLATFORM, TEST, make_secret
from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id
from server.domain.merchant import ApiKey
from server.storage.api_keys import insert_api_key, list_api_keys, revoke_api_key
from server.storage.keyed_hash import keyed_hash
from server.storage.merchants import lock_merchant, read_merchant
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.merchants import require_merchant
from server.usecases.newest_first import NewestFirst


@dataclass(frozen=True, slots=True)
class IssuedApiKey:
    """A new key with its secret, which is shown this once and stored nowhere."""

    key: ApiKey
    secret: str = field(repr=False)


class ApiKeys:
    """Several keys of a merchant may work at once, so that one is rotated without a gap.

    Args:
        hash_key: Secret of the key hashes; `authenticate` must have the same.
    """

    def __init__(self, transactions: ShortTransactions, pages: NewestFirst, hash_key: bytes) -> None:
        self._transactions, self._pages, self._hash_key = transactions, pages, hash_key

    async def create(self, merchant_id: UUID, name: str) -> IssuedApiKey:
        """Issues a key of the merchant's mode.

        Raises:
            KassaError: MERCHANT_NOT_FOUND.
        """
        return await self._transactions.run(self._create, merchant_id, name)

    async def create_platform_key(self, name: str) -> IssuedApiKey:
        """Issues a key that administers merchants."""
        return await self._transactions.run(self._issue, None, PLATFORM, name)

    async def list(self, merchant_id: UUID, page_size: int, page_token: str) -> Page[ApiKey]:
        """Lists a merchant's keys, newest first, revoked ones too.

        Raises:
            KassaError: MERCHANT_NOT_FOUND, PAGE_TOKEN_INVALID.
        """
        require_merchant(await self._transactions.run(read_merchant, merchant_id))
        return await self._pages.read(
            f"api_keys:{merchant_id}",
            page_size,
            page_token,
            lambda connection, before, limit: list_api_keys(connection, merchant_id, before, limit),
        )

    async def revoke(self, merchant_id: UUID, key_id: UUID) -> ApiKey:
        """Ends a key: servers refuse it within 5 s. Revoking it again changes nothing.

        Raises:
            KassaError: API_KEY_NOT_FOUND.
        """
        revoked = await self._transactions.run(revoke_api_key, merchant_id, key_id, utc_now())
        if revoked is None:
            raise KassaError(Reason.API_KEY_NOT_FOUND, "The merchant has no such API key.")
        return revoked

    def _create(self, connection: Connection, merchant_id: UUID, name: str) -> IssuedApiKey:
        merchant = require_merchant(lock_merchant(connection, merchant_id))
        return self._issue(connection, merchant_id, TEST if merchant.test_mode else LIVE, name)

    def _issue(self, connection: Connection, merchant_id: UUID | None, prefix: str, name: str) -> IssuedApiKey:
        secret = make_secret(prefix)
        key = ApiKey(new_id(), merchant_id, name, secret[-4:], utc_now(), revoked_at=None)
        insert_api_key(connection, key, keyed_hash(self._hash_key, secret.encode()))
        return IssuedApiKey(key, secret)
