"""One payment of the past as a backtest sees it, and what can be wrong with its data. Made by the sources of rows."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from fraud_rules.facts import Value

SECOND: Final = 1_000_000
"""Times are whole microseconds since 1970, so that windows are exact and cheap to compare."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Label(StrEnum):
    """What is known today of a payment; most payments have none."""

    FRAUD = "fraud"
    LEGIT = "legit"


class Payment(NamedTuple):
    """A payment with its facts, what became of it, and when that was known. A tuple, since a million are made a minute.

    Attributes:
        place: Its line or row in the source, from 1, for messages.
        at: Microseconds since 1970.
        merchant: Whose past it belongs to; empty where the source has one merchant only.
        facts: As admission leaves them; the backtest adds the velocity facts.
        approved, declined, blocked: What became of it at once.
        refunded_at, disputed_at, warned_at: When its first refund, its dispute and its early fraud warning were known,
            in microseconds since 1970; None for never.
        refunded: What was returned, in minor units.
        said: What the processor said, by the words of `velocity.LAST`.
        world: With whose payments it is counted across merchants: test payments are counted apart.
    """

    place: int
    at: int
    merchant: str
    facts: dict[str, Value]
    amount: int
    currency: str
    label: Label | None = None
    approved: bool = False
    declined: bool = False
    blocked: bool = False
    refunded_at: int | None = None
    disputed_at: int | None = None
    warned_at: int | None = None
    refunded: int = 0
    said: Mapping[str, str] | None = None
    world: str = ""


class DataError(Exception):
    """A source of payments is not what it should be; nothing of a payment but its place is told.

    Attributes:
        source: The file, or what else the rows come from.
        place: Line of a CSV file, row of a Parquet file, from 1; 0 where the finding is about the whole source.
        column: The column's name, or empty.
    """

    def __init__(self, source: str, place: int, column: str, message: str) -> None:
        self.source, self.place, self.column, self.message = source, place, column, message
        super().__init__(source, place, column, message)

    def __str__(self) -> str:
        """One line, such as `payments.csv:17: amount: is not a whole number`."""
        place = f":{self.place}" if self.place else ""
        column = f" {self.column}:" if self.column else ""
        return f"{self.source}{place}:{column} {self.message}"


def micros(moment: datetime) -> int:
    """Returns an aware moment as microseconds since 1970."""
    since = moment - _EPOCH
    return since.days * 86_400 * SECOND + since.seconds * SECOND + since.microseconds


def moment_of(at: int) -> datetime:
    """Returns microseconds since 1970 as a moment in UTC."""
    return _EPOCH + timedelta(microseconds=at)
