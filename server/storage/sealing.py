"""Encryption of what must be read again: processor credentials. Called by `storage.processor_accounts`.

AES-256-GCM (NIST SP 800-38D). A sealed value is: version (1 byte), key id (4), nonce (12), ciphertext and tag.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.storage.keyed_hash import keyed_hash

_VERSION = b"\x01"
_KEY_ID_END, _NONCE_END = 5, 17


class SealBroken(Exception):
    """A sealed value does not open: its key is not configured, it was altered, or it belongs to another row."""


class Sealing:
    """Seals and opens small values.

    Args:
        keys: 32 bytes each. The first seals; all open, so that a key is rotated by putting a new one in front.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        assert keys and all(len(key) == 32 for key in keys), "AES-256 takes keys of 32 bytes"
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])

    def seal(self, plaintext: bytes, row: bytes) -> bytes:
        """Encrypts a value; it opens again only with the same `row`, so it cannot be moved to another one."""
        nonce = os.urandom(12)
        header = _VERSION + self._current
        return header + nonce + self._ciphers[self._current].encrypt(nonce, plaintext, header + row)

    def open(self, sealed: bytes, row: bytes) -> bytes:
        """Decrypts a value.

        Raises:
            SealBroken: See there.
        """
        header, nonce = sealed[:_KEY_ID_END], sealed[_KEY_ID_END:_NONCE_END]
        cipher = self._ciphers.get(header[1:])
        if header[:1] != _VERSION or cipher is None:
            raise SealBroken("sealed under a key that is not configured")
        if len(nonce) < _NONCE_END - _KEY_ID_END:
            raise SealBroken("cut off")
        try:
            return cipher.decrypt(nonce, sealed[_NONCE_END:], header + row)
        except InvalidTag:
            raise SealBroken("altered, or of another row") from None


def _key_id(key: bytes) -> bytes:
    return keyed_hash(key, b"kassa/encryption-key-id")[:4]
