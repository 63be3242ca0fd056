"""Keyed hashes, each purpose with a key of its own derived from one root secret. Called by `bootstrap` and use cases.

HKDF: https://www.rfc-editor.org/rfc/rfc5869
"""

import hmac
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


class Purpose(StrEnum):
    """What a derived key is for; the value is part of the derivation and must never change."""

    API_KEYS = "kassa/api-keys/1"
    CARD_FINGERPRINTS = "kassa/card-fingerprints/1"
    REQUEST_HASHES = "kassa/request-hashes/1"
    PAGE_TOKENS = "kassa/page-tokens/1"
    PLATFORM_VELOCITY = "kassa/platform-velocity/1"


def derive_key(secret: str, purpose: Purpose) -> bytes:
    """Returns the 32-byte key of one purpose; knowing it tells nothing of the secret or of the other keys."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.value.encode()).derive(secret.encode())


def keyed_hash(key: bytes, data: bytes) -> bytes:
    """Returns the HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, data, "sha256")
