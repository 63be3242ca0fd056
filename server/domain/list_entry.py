"""Values that analysts put on lists while servers run; stored by `storage.list_entries`.

What they may hold is checked here, since they come over the wire and from the command line.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.domain.card import holds_card_number
from server.domain.errors import InvalidField

_LIST_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_VALUE, _MAX_WORDS = 254, 1_000
EVERY_MERCHANT = UUID(int=0)
"""Stands in the place of a merchant where an entry concerns the payments of all."""


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A value on a list. Times are UTC and aware.

    Attributes:
        merchant_id: Whose payments it concerns, or EVERY_MERCHANT.
        value: What a fact is compared with; never a card number.
        expires_at: None: it counts for ever.
        removed_at: None while it stands; `removed_by` is empty then.
    """

    merchant_id: UUID
    id: UUID
    list_name: str
    value: str
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime | None
    removed_at: datetime | None = None
    removed_by: str = ""


@dataclass(frozen=True, slots=True)
class NewListEntry:
    """A value to put on a list; see `ListEntry`."""

    merchant_id: UUID
    list_name: str
    value: str
    author: str
    reason: str
    expires_at: datetime | None = None


def check_list_name(given: str) -> str:
    """Takes a list's name, as rules write it.

    Raises:
        InvalidField: It is none. So it is below.
    """
    if _LIST_NAME.fullmatch(given) is None:
        raise InvalidField(
            "list_name", "must be a small letter, then small letters, digits and underscores, 64 at most"
        )
    return given


def check_value(given: str) -> str:
    """Takes what a fact is compared with: one line, and no card number, for which its fingerprint stands."""
    value = given.strip()
    if not 1 <= len(value) <= _MAX_VALUE or not value.isprintable():
        raise InvalidField("value", f"must be one line of 1 to {_MAX_VALUE} printable characters")
    if holds_card_number(value):
        raise InvalidField("value", "must not be a card number; rules see a card by the fingerprint of its number")
    return value


def check_words(given: str, field: str) -> str:
    """Takes who somebody is or what they say; card numbers come in by copying, and must not be kept."""
    words = given.strip()
    if not 1 <= len(words) <= _MAX_WORDS or not words.isprintable():
        raise InvalidField(field, f"must be one line of 1 to {_MAX_WORDS} printable characters")
    if holds_card_number(words):
        raise InvalidField(field, "must not contain a card number")
    return words
