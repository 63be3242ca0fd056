"""Tells who is calling by their API key. Called by `rpc` before every call but webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.api_key_secret import is_well_formed
from server.domain.errors import KassaError, Reason
from server.storage.api_keys import KeyOwner, read_key_owners
from server.storage.keyed_hash import keyed_hash
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Caller
from server.usecases.remembered import Remembered

CACHED_S = 4.0
"""A revoked key is refused everywhere within 5 s: this, and the look-up that was under way."""
_CACHED_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class Platform:
    """Whoever holds a platform key: administers merchants, and touches no payment but those in review."""


Principal = Caller | Platform
_PLATFORM = Platform()


class Authenticate:
    """Looks keys up by their hash, and remembers the answer for a few seconds.

    Args:
        transactions: Where keys are read.
        hash_key: Secret of the key hashes.
        cached_s: Seconds for which an answer is believed.
    """

    def __init__(self, transactions: ShortTransactions, hash_key: bytes, *, cached_s: float = CACHED_S) -> None:
        self._transactions, self._hash_key = transactions, hash_key
        self._principals = Remembered(self._read, kept_s=cached_s, most=_CACHED_KEYS)

    async def __call__(self, secret: str) -> Principal:
        """Returns whom the key speaks for.

        Raises:
            KassaError: API_KEY_INVALID (unknown, cut off or revoked), SERVICE_UNAVAILABLE.
        """
        if not is_well_formed(secret):
            raise _invalid()
        principal = await self._principals.find(keyed_hash(self._hash_key, secret.encode()))
        if principal is None:
            raise _invalid()
        return principal

    async def _read(self, key_hashes: Sequence[bytes]) -> dict[bytes, Principal | None]:
        owners = await self._transactions.read(read_key_owners, key_hashes)
        return {one: _principal(owners[one]) if one in owners else None for one in key_hashes}


def _principal(owner: KeyOwner) -> Principal:
    if owner.merchant_id is None:
        return _PLATFORM
    return Caller(
        owner.merchant_id,
        owner.test_mode,
        owner.time_zone,
        merchant_since=owner.merchant_since,
        max_daily_transactions=owner.max_daily_transactions,
    )


def _invalid() -> KassaError:
    return KassaError(Reason.API_KEY_INVALID, "The API key is unknown or was revoked.")
