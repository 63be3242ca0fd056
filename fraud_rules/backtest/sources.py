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
        missing: Facts that the rules need and no payment of this source brings.
        notes: What else a reader of the report must know of the source, a sentence each.
    """

    name: str
    payments: Callable[[Progress], Iterator[Payment]]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """Where the payments of a backtest come from."""

    def open(self, words: Mapping[str, Fact], needed: Iterable[str]) -> Opened:
        """Looks into the source.

        Args:
            words: The facts that rules may name, velocity facts excluded.
            needed: Those that the rules do name, or that their velocity rests on.

        Raises:
            DataError: It cannot be read.
        """
        ...
