"""Who calls a use case and what it answers; shared by every use case and by `rpc`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated merchant. `test_mode` is the merchant's, for ever; `request_id` names the call at hand.

    Attributes:
        merchant_since: When the merchant was registered.
        max_daily_transactions: How many payments it may open on a day of its time zone; 0 where the server's own
            limit holds.
    """

    merchant_id: UUID
    test_mode: bool
    time_zone: str = "UTC"
    request_id: str = field(default="", compare=False)
    merchant_since: datetime | None = field(default=None, compare=False)
    max_daily_transactions: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A use case's result; `replayed` when an earlier call with the same idempotency key made it."""

    value: T
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_page_token` is empty on the last."""

    items: tuple[T, ...]
    next_page_token: str
