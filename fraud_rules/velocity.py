"""What a rule asks of a payment's past: a function over a window, as a requirement that the caller fulfils.

Made by `parser`, collected on `Ruleset.velocity`, read by whoever queries the history. The past is the merchant's
earlier payments, and each is counted as it stands now: `refunds` are earlier payments of which something was returned.
With `across="platform"` it is the payments of all merchants, as they were made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fraud_rules.facts import Case, Fact, Kind, Unit

MAX_DAYS: Final = 90
EVER: Final = "ever"

COUNTED: Final = ("payments", "approvals", "declines", "blocks", "refunds", "disputes", "early_fraud_warnings")
"""Which of the earlier payments: all, those that the processor approved or declined, those that rules blocked, those of
which something was returned, that were disputed, or of which the network warned."""
DISTINCT: Final = (
    "card", "customer", "email", "email_domain", "ip", "device", "bin", "holder_name", "amount",
    "billing_country", "shipping_country", "shipping_address",
)  # fmt: skip
"""What `distinct` tells apart among payments."""
LAST: Final = ("avs_address", "avs_postcode", "cvc_check", "three_d_secure", "decline_code")
"""What the processor said of the newest earlier payment of which it said it."""
BY: Final = (
    "customer", "card", "email", "email_domain", "ip", "device", "bin", "holder_name", "merchant", "shipping_address",
)  # fmt: skip
"""Whose past: that of the payment's own value of this fact, within its merchant."""

CHECKS: Final = ("pass", "fail", "unavailable", "unchecked")
"""What a bank says of an address, a postcode or a security code: https://docs.stripe.com/disputes/prevention/verification"""
THREE_D_SECURE: Final = (
    "authenticated", "attempt_acknowledged", "exempted", "failed", "not_supported", "processing_error",
)  # fmt: skip
"""How 3-D Secure ended: https://docs.stripe.com/api/charges/object#charge_object-payment_method_details-card"""

PLATFORM: Final = "platform"
"""What `across=` may say: the payments of all merchants."""
MAX_PLATFORM_DAYS = 30
PLATFORM_BY: Final = ("card", "email", "ip", "device", "holder_name", "shipping_address")
"""By what all merchants' payments are counted: what few payments share, whoever the merchant is."""
PLATFORM_DISTINCT: Final = ("merchant", *PLATFORM_BY)
"""What `distinct` tells apart among them."""
_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "customer": 'a customer\'s id is the merchant\'s own; say by="email" or by="card", or leave across= out',
        "merchant": "that is the merchant's own past; leave across= out",
        "bin": 'too many payments share one; say by="card", or leave across= out',
        "email_domain": 'too many payments share one; say by="email", or leave across= out',
    }
)
_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"avs_address": CHECKS, "avs_postcode": CHECKS, "cvc_check": CHECKS, "three_d_secure": THREE_D_SECURE}
)
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mhd])")


class Function(StrEnum):
    """How the past is summed up."""

    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"
    DISTINCT = "distinct"
    SECONDS_SINCE_LAST = "seconds_since_last"
    SECONDS_SINCE_FIRST = "seconds_since_first"
    FIRST_SEEN = "first_seen"
    LAST = "last"


PLATFORM_FUNCTIONS: Final = (
    Function.COUNT, Function.SUM, Function.AVERAGE, Function.DISTINCT, Function.SECONDS_SINCE_LAST, Function.FIRST_SEEN,
)  # fmt: skip
OVER: Mapping[Function, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys(Function, COUNTED) | {Function.DISTINCT: DISTINCT, Function.LAST: LAST}
)
"""What each function runs over."""

WITHOUT_WINDOW: Final = (
    Function.SECONDS_SINCE_LAST, Function.SECONDS_SINCE_FIRST, Function.FIRST_SEEN, Function.LAST,
)  # fmt: skip
"""The functions for which `within=` may be left out; it is then `ever`."""

_UNITS = {
    Function.SUM: Unit.US_CENTS,
    Function.AVERAGE: Unit.US_CENTS,
    Function.SECONDS_SINCE_LAST: Unit.SECONDS,
    Function.SECONDS_SINCE_FIRST: Unit.SECONDS,
}


@dataclass(frozen=True, slots=True, order=True)
class VelocityFact:
    """A value to be read from the merchant's earlier payments, never counting the payment under decision.

    Attributes:
        name: The key under which the value is handed to `Ruleset.decide`; leave the key out where unknown, as it
            is when the payment has no value for `by`.
        function: COUNT of `over`; SUM of their amounts, and AVERAGE of it, rounded half up, in US cents, unknown where
            there is none; DISTINCT values of `over` among payments; SECONDS_SINCE_LAST and SECONDS_SINCE_FIRST: whole
            seconds since the newest and the oldest of them, unknown where there is none; FIRST_SEEN: whether there is
            none; LAST: the newest known value of `over`, a text, unknown where there is none.
        over: One of `OVER[function]`.
        by: One of `BY`: only what has this payment's own value of that fact.
        within_seconds: The window that ends at the payment's time; None for all time.
        platform: Whether the payments of all merchants are meant, not the merchant's alone.
    """

    name: str
    function: Function
    over: str
    by: str
    within_seconds: int | None
    platform: bool = False

    def fact(self) -> Fact:
        """The requirement as a word of the vocabulary."""
        meaning = f"{self.function} of {self.over} by {self.by}{' across all merchants' if self.platform else ''}"
        if self.function is Function.LAST:
            return Fact(self.name, Kind.TEXT, meaning, case=Case.LOWER, values=_VALUES.get(self.over, ()))
        if self.function is Function.FIRST_SEEN:
            return Fact(self.name, Kind.BOOLEAN, meaning)
        return Fact(self.name, Kind.INTEGER, meaning, unit=_UNITS.get(self.function, Unit.NUMBER))


def velocity_fact(
    function: Function, over: str, by: str, within: str = EVER, across: str | None = None
) -> VelocityFact:
    """Builds the requirement from a rule's words.

    Args:
        within: `30m`, `24h`, `90d` (one minute to 90 days) or `ever`; across the platform 30 days at most.
        across: None for the merchant's own past, or `platform`.

    Raises:
        ValueError: A word is not one of the above; its message says what is.
    """
    if across is not None:
        return _platform_fact(function, over, by, within, across)
    if over not in OVER[function]:
        raise ValueError(f"{function} knows no {over[:80]!r}; it takes one of {', '.join(OVER[function])}")
    if by not in BY:
        raise ValueError(f"by={by[:80]!r} is unknown; it takes one of {', '.join(BY)}")
    if function is Function.DISTINCT and over == by:
        raise ValueError(f"there is but one {over} by {by}; tell apart something else")
    name = f"{function}_{over}_by_{by}_{within}"
    return VelocityFact(name, function, over, by, _window(within))


def _platform_fact(function: Function, over: str, by: str, within: str, across: str) -> VelocityFact:
    if across != PLATFORM:
        raise ValueError(f'across={across[:80]!r} is unknown; write across="{PLATFORM}", or leave it out')
    if function not in PLATFORM_FUNCTIONS:
        raise ValueError(f"{function} is not kept across merchants; it takes one of {', '.join(PLATFORM_FUNCTIONS)}")
    known = PLATFORM_DISTINCT if function is Function.DISTINCT else COUNTED[:1]
    if over not in known:
        raise ValueError(f"{function} knows no {over[:80]!r} across merchants; it takes one of {', '.join(known)}")
    if by not in PLATFORM_BY:
        why = _ELSEWHERE.get(by, "it is unknown")
        raise ValueError(f"by={by[:80]!r} is not kept across merchants: {why}; there are {', '.join(PLATFORM_BY)}")
    if function is Function.DISTINCT and over == by:
        raise ValueError(f"there is but one {over} by {by}; tell apart something else")
    seconds = None if within == EVER else _window(within)
    if seconds is None or seconds > MAX_PLATFORM_DAYS * 86_400:
        raise ValueError(
            f'across merchants {MAX_PLATFORM_DAYS} days are kept; write within="{MAX_PLATFORM_DAYS}d" or less'
        )
    name = f"{function}_{over}_by_{by}_across_{PLATFORM}_{within}"
    return VelocityFact(name, function, over, by, seconds, platform=True)


def _window(within: str) -> int | None:
    if within == EVER:
        return None
    match = _WINDOW.fullmatch(within)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_DAYS * 86_400:
        raise ValueError(f'within={within[:80]!r} is no window; write "30m", "24h", "90d" (at most 90 days) or "ever"')
    return seconds
