"""What makes a repeat the same request: a keyed hash over the call, without card data in it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson

from server.domain.card import Card
from server.storage.keyed_hash import keyed_hash

_ADDED_LATER = frozenset({"phone", "user_agent"})
"""Left out where empty, so that a repeat of a request from before they were known is the same request still."""


class RequestHasher:
    """Hashes requests and fingerprints cards.

    Args:
        hash_key: Secret of the request hashes.
        fingerprint_key: Secret of the card fingerprints; the same card number gives the same fingerprint for ever.
        platform_key: Secret of what all merchants' payments are counted by, so that it tells nothing of any of them.
    """

    def __init__(self, hash_key: bytes, fingerprint_key: bytes, platform_key: bytes) -> None:
        self._hash_key, self._fingerprint_key, self._platform_key = hash_key, fingerprint_key, platform_key

    def fingerprint(self, number: str) -> str:
        """Returns what stands for a card number wherever one is compared or counted."""
        return keyed_hash(self._fingerprint_key, number.encode())[:16].hex()

    def trace(self, kind: str, line: str) -> str:
        """Returns what stands for a name or an address wherever one is counted; empty for an empty one.

        Args:
            kind: What it is; a word with a letter in it, so that it can never be taken for a card number.
            line: In normal form.
        """
        if not line:
            return ""
        return keyed_hash(self._fingerprint_key, f"{kind}\0{line}".encode())[:16].hex()

    def platform(self, values: Mapping[str, str], *, test_mode: bool) -> dict[str, str]:
        """Returns by what a payment is found again among those of all merchants, 32 hexadecimal digits each.

        Args:
            values: In normal form, by key; empty ones are left out.
            test_mode: Test payments are counted apart, so that nobody's tests touch anybody's customers.
        """
        world = "test" if test_mode else "live"
        return {
            key: keyed_hash(self._platform_key, f"{world}\0{key}\0{value}".encode())[:16].hex()
            for key, value in values.items()
            if value
        }

    def hash(self, operation: str, fields: Mapping[str, Any]) -> bytes:
        """Hashes a call: its name, and its fields with ids, in sorted-key JSON."""
        plain = {name: self._plain(value) for name, value in fields.items()}
        body = orjson.dumps([operation, plain], option=orjson.OPT_SORT_KEYS)
        return keyed_hash(self._hash_key, body)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Card):
            kept = {"exp_month": value.exp_month, "exp_year": value.exp_year, "holder": value.holder}
            return {"card": self.fingerprint(value.number), **kept}
        if is_dataclass(value) and not isinstance(value, type):
            known = {"type": type(value).__name__}
            for field in fields(value):
                item = getattr(value, field.name)
                if item or field.name not in _ADDED_LATER:
                    known[field.name] = item
            return known
        return value
