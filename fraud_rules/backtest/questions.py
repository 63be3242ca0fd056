"""What can be asked of a key's past: one function a velocity fact, from key and moment to its value. Made by `history`.

They are closures over the containers, since each is called for every payment; None means unknown.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable
from typing import assert_never

from fraud_rules.backtest.past import Amounts, Extent, Money, Times, Totals, Values
from fraud_rules.backtest.payments import SECOND
from fraud_rules.facts import MAX_INTEGER, Value
from fraud_rules.rates import Rates
from fraud_rules.velocity import Function

Ask = Callable[[Hashable, int], Value | None]


class Cents:
    """Turns amounts into US cents; of sums by currency each is rounded half up, as the gateway does."""

    def __init__(self, rates: Rates) -> None:
        self._factors = {
            currency: (factor.numerator, factor.denominator) for currency, factor in rates.cents_per_minor_unit.items()
        }

    def convert(self, amount: int, currency: str) -> int | None:
        """Does what `Rates.to_usd_cents` does, faster: fractions take their time."""
        factor = self._factors.get(currency)
        if factor is None:
            return None
        numerator, denominator = factor
        return (2 * amount * numerator + denominator) // (2 * denominator)

    def total(self, money: Money) -> int | None:
        """Returns the sum in US cents; None where a currency has no rate."""
        total = 0
        for currency, amount, _ in money:
            cents = self.convert(amount, currency)
            if cents is None:
                return None
            total += cents
        return total if total < MAX_INTEGER else MAX_INTEGER

    def average(self, money: Money) -> int | None:
        """Returns the average in US cents, rounded half up; None where there is none, or a currency has no rate."""
        if not money:
            return None
        cents, count = self.total(money), 0
        for _, _, number in money:
            count += number
        return None if cents is None else (2 * cents + count) // (2 * count)

    def by(self, function: Function) -> Callable[[Money], int | None]:
        """Returns `total` for SUM and `average` for AVERAGE."""
        return self.total if function is Function.SUM else self.average


def ask_times(times: Times, function: Function, within: int) -> Ask:
    """Asks within a window, in microseconds, that ends at the moment and leaves its beginning out."""
    by_key = times.by_key

    def count(key: Hashable, now: int) -> int:
        found = by_key.get(key)
        if found is None:
            return 0
        edge = now - within
        return len(found) if found[0] > edge else len(found) - bisect_right(found, edge)

    def since_last(key: Hashable, now: int) -> int | None:
        found = by_key.get(key)
        return (now - found[-1]) // SECOND if found is not None and found[-1] > now - within else None

    def since_first(key: Hashable, now: int) -> int | None:
        found = by_key.get(key)
        if found is None or found[-1] <= now - within:
            return None
        return (now - found[bisect_right(found, now - within)]) // SECOND

    def first_seen(key: Hashable, now: int) -> bool:
        found = by_key.get(key)
        return found is None or found[-1] <= now - within

    return _choose(function, count, since_last, since_first, first_seen)


def ask_extent(extent: Extent, function: Function) -> Ask:
    """Asks of all time."""
    by_key = extent.by_key

    def count(key: Hashable, now: int) -> int:
        found = by_key.get(key)
        return 0 if found is None else found[0]

    def since_last(key: Hashable, now: int) -> int | None:
        found = by_key.get(key)
        return None if found is None else (now - found[2]) // SECOND

    def since_first(key: Hashable, now: int) -> int | None:
        found = by_key.get(key)
        return None if found is None else (now - found[1]) // SECOND

    def first_seen(key: Hashable, now: int) -> bool:
        return key not in by_key

    return _choose(function, count, since_last, since_first, first_seen)


def ask_amounts(amounts: Amounts, function: Function, within: int, cents: Cents) -> Ask:
    """Asks for the sum or the average of a window, in US cents."""
    convert = cents.by(function)
    return lambda key, now: convert(amounts.since(key, now - within))


def ask_totals(totals: Totals, function: Function, cents: Cents) -> Ask:
    """Asks for the sum or the average of all time, in US cents."""
    convert = cents.by(function)
    return lambda key, now: convert(totals.ever(key))


def ask_values(values: Values) -> Ask:
    """Asks how many different values a window holds."""
    within, after = values.keep, values.after
    return lambda key, now: after(key, now - within)


def ask_distinct(sets: dict[Hashable, set[Value]]) -> Ask:
    """Asks how many different values there ever were."""
    nothing: set[Value] = set()
    return lambda key, now: len(sets.get(key, nothing))


def ask_last(newest: dict[Hashable, tuple[int, str]], within: int | None) -> Ask:
    """Asks for the newest word, where its payment lies in the window."""

    def last(key: Hashable, now: int) -> str | None:
        found = newest.get(key)
        if found is None or (within is not None and found[0] <= now - within):
            return None
        return found[1]

    return last


def _choose(function: Function, count: Ask, since_last: Ask, since_first: Ask, first_seen: Ask) -> Ask:
    match function:
        case Function.COUNT:
            return count
        case Function.SECONDS_SINCE_LAST:
            return since_last
        case Function.SECONDS_SINCE_FIRST:
            return since_first
        case Function.FIRST_SEEN:
            return first_seen
        case Function.SUM | Function.AVERAGE | Function.DISTINCT | Function.LAST:
            raise AssertionError(f"{function} is asked elsewhere")
        case _:
            assert_never(function)
