"""Page tokens: where a list goes on, bound by HMAC to the list it came from. Called by every use case that lists."""

import base64
import binascii
import hashlib
import hmac

from server.domain.errors import KassaError, Reason

_MAC_BYTES = 16
_LONGEST_TOKEN = 1_024


class PageTokens:
    """Issues and reads page tokens.

    Args:
        key: The secret of this purpose, at least 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        assert len(key) >= 32, "a page token key has at least 32 bytes"
        self._key = key

    def issue(self, scope: str, position: str) -> str:
        """Returns an opaque URL-safe token.

        Args:
            scope: What the token is good for: the kind of list, the merchant and the filter, written unambiguously.
            position: Where the next page starts. It is readable in the token, so it must be no secret.
        """
        payload = position.encode()
        return base64.urlsafe_b64encode(self._mac(scope, payload) + payload).rstrip(b"=").decode()

    def read(self, scope: str, token: str) -> str:
        """Returns the position that `issue` was given for the same scope.

        Raises:
            KassaError: PAGE_TOKEN_INVALID: not ours, or issued for another merchant or filter.
        """
        try:
            if len(token) > _LONGEST_TOKEN:
                raise ValueError
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(scope, payload)):
            raise _invalid()
        return payload.decode()

    def _mac(self, scope: str, payload: bytes) -> bytes:
        scope_digest = hashlib.sha256(scope.encode()).digest()
        return hmac.digest(self._key, scope_digest + payload, "sha256")[:_MAC_BYTES]


def _invalid() -> KassaError:
    return KassaError(
        Reason.PAGE_TOKEN_INVALID,
        "page_token is not from this list; send the next_page_token of the same call with the same filter",
        field="page_token",
    )
