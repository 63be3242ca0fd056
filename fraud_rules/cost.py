"""What a rule asks of the past, and what that costs a payment. Shown by `check`.

All windows over one customer, card and so on are read together, so what counts is how far back each goes, and whether
many payments share it: those of one merchant are thousands, and are read from counters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fraud_rules.expressions import Condition, facts_of
from fraud_rules.velocity import EVER, Function, VelocityFact

_DAY = 86_400
_SHARED_BY_MANY = ("merchant", "bin", "email_domain")


class Level(StrEnum):
    """From the cheapest to the dearest.

    NONE reads nothing but the payment. LOW reads a day of what few payments share. MEDIUM reads further back, or what
    many share. HIGH tells values apart, or goes through all time, where counters help little.
    """

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


_ORDER = tuple(Level)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one rule, or a whole ruleset, asks of the past.

    Attributes:
        windows: How far back it goes, by what payments share: `{"card": "24h"}`.
    """

    level: Level
    windows: dict[str, str]

    def __str__(self) -> str:
        """In words: `low: card 24h, ip 1h`."""
        reads = ", ".join(f"{by} {window}" for by, window in self.windows.items())
        return f"{self.level}: {reads}" if reads else str(self.level)


def cost_of(conditions: Iterable[Condition]) -> Cost:
    """Returns the cost of evaluating conditions together."""
    asked = {fact.velocity for condition in conditions for fact in facts_of(condition) if fact.velocity}
    longest: dict[str, VelocityFact] = {}
    for velocity in sorted(asked, key=_length):
        longest[f"{velocity.by} across merchants" if velocity.platform else velocity.by] = velocity
    windows = {by: longest[by].name.rpartition("_")[2] for by in sorted(longest)}
    return Cost(max(map(_level, asked), key=_ORDER.index, default=Level.NONE), windows)


def _length(velocity: VelocityFact) -> tuple[bool, int, str]:
    return velocity.within_seconds is None, velocity.within_seconds or 0, velocity.name


def _level(velocity: VelocityFact) -> Level:
    near = velocity.within_seconds is not None and velocity.within_seconds <= _DAY
    if near and velocity.by not in _SHARED_BY_MANY:
        return Level.LOW
    endless = velocity.name.endswith(f"_{EVER}") and velocity.by in _SHARED_BY_MANY
    return Level.HIGH if velocity.function is Function.DISTINCT or endless else Level.MEDIUM
