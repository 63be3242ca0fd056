"""What a backtest reads its payments from. Fulfilled by `reading`, and by whoever keeps decisions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from fraud_rules.backtest.payments import Payment
from fraud_rules.facts import Fact

Progress = Callable[[float], None]
"""Told the share of the source that is done, 0 to 1, every few thousand payments."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that has been looked into.

    Attributes:
        name: How reports and errors call it.
        payments: Walks the payments once, in the order of time; raises DataError where one is not sound.
        missing: Says, after the walk, which facts the rules need and no payment brought.
        notes: What else a reader of the report must know of the source, a sentence each.
        judged_from: Earlier payments are part of the past alone; microseconds since 1970.
    """

    name: str
    payments: Callable[[Progress], Iterator[Payment]]
    missing: Callable[[], tuple[str, ...]] = tuple
    notes: tuple[str, ...] = ()
    judged_from: int = -(2**63)


class Source(Protocol):
    """Where the payments of a backtest come from."""

    def open(self, words: Mapping[str, Fact], needed: Iterable[str], reach_s: int | None) -> Opened:
        """Looks into the source.

        Args:
            words: The facts that rules may name, velocity facts excluded.
            needed: Those that the rules do name, or that their velocity rests on.
            reach_s: How far back the rules' windows reach, in seconds; None for all time.

        Raises:
            DataError: It cannot be read.
        """
        ...
