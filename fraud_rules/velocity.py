"""What a rule asks of a payment's past: `count|sum|distinct` over a window, as requirements the caller fulfils.

Made by `parser`, collected on `Ruleset.velocity`, read by whoever queries the history.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fraud_rules.facts import Fact, Kind, Unit

MAX_DAYS: Final = 90
EVER: Final = "ever"

COUNTED: Final = ("payments", "declines", "disputes", "refunds")
"""What `count` and `sum` run over."""
DISTINCT: Final = ("card", "customer", "email", "ip", "device", "bin", "billing_country", "shipping_country")
"""What `distinct` tells apart among payments."""
BY: Final = ("customer", "card", "email", "ip", "device", "bin", "merchant")
"""Whose past: that of the payment's own value of this fact, within its merchant."""

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mhd])")


class Function(StrEnum):
    """How the past is summed up."""

    COUNT = "count"
    SUM = "sum"
    DISTINCT = "distinct"


@dataclass(frozen=True, slots=True, order=True)
class VelocityFact:
    """An integer to be read from the merchant's earlier payments, never counting the payment under decision.

    Attributes:
        name: The key under which the value is handed to `Ruleset.decide`; leave the key out where unknown, as it
            is when the payment has no value for `by`.
        function: COUNT of `over`; SUM of their amounts in US cents; DISTINCT values of `over` among payments.
        over: One of `COUNTED`, for DISTINCT one of `DISTINCT`.
        by: One of `BY`: only what has this payment's own value of that fact.
        within_seconds: The window that ends at the payment's time; None for all time.
    """

    name: str
    function: Function
    over: str
    by: str
    within_seconds: int | None

    def fact(self) -> Fact:
        """The requirement as a word of the vocabulary."""
        unit = Unit.US_CENTS if self.function is Function.SUM else Unit.NUMBER
        meaning = f"{self.function} of {self.over} by {self.by}"
        return Fact(self.name, Kind.INTEGER, meaning, unit=unit)


def velocity_fact(function: Function, over: str, by: str, within: str) -> VelocityFact:
    """Builds the requirement from a rule's words.

    Args:
        within: `30m`, `24h`, `90d` (one minute to 90 days) or `ever`.

    Raises:
        ValueError: A word is not one of the above; its message says what is.
    """
    allowed = DISTINCT if function is Function.DISTINCT else COUNTED
    if over not in allowed:
        raise ValueError(f"{function} knows no {over!r}; it takes one of {', '.join(allowed)}")
    if by not in BY:
        raise ValueError(f"by={by!r} is unknown; it takes one of {', '.join(BY)}")
    name = f"{function}_{over}_by_{by}_{within}"
    return VelocityFact(name, function, over, by, _window(within))


def _window(within: str) -> int | None:
    if within == EVER:
        return None
    match = _WINDOW.fullmatch(within)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_DAYS * 86_400:
        raise ValueError(f'within={within!r} is no window; write "30m", "24h", "90d" (at most 90 days) or "ever"')
    return seconds
