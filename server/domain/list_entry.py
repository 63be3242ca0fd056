"""Values that analysts put on lists while servers run; stored by `storage.list_entries`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

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
