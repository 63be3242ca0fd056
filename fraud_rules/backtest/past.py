"""Containers of a key's past in which windows are cheap to ask. Called by `history`, which decides what goes in.

Each forgets what its longest window no longer reaches, so memory follows the windows and not the file; what is asked of
all time keeps sums and counts only. Keys are a merchant with a value; times are microseconds.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Final

from fraud_rules.facts import Value

Money = Sequence[tuple[str, int, int]]
"""Currency, sum in minor units, and number of payments."""

_TRIM: Final = 32
"""Shorter lists are not worth trimming."""


class Times:
    """When the payments of each key were made, oldest first, as far back as the longest window reaches."""

    __slots__ = ("by_key", "keep")

    def __init__(self, keep: int) -> None:
        """Args: keep: The longest window, in microseconds."""
        self.keep = keep
        self.by_key: dict[Hashable, list[int]] = {}

    def add(self, key: Hashable, at: int) -> None:
        """Takes in a payment; one that becomes known late is put in its place."""
        times = self.by_key.get(key)
        if times is None:
            self.by_key[key] = [at]
            return
        if times[-1] <= at:
            times.append(at)
        else:
            times.insert(bisect_right(times, at), at)
        size = len(times)
        if size > _TRIM and times[size >> 1] <= times[-1] - self.keep:
            del times[: bisect_right(times, times[-1] - self.keep)]

    def sweep(self, edge: int) -> None:
        """Forgets the keys that made no payment after `edge`."""
        for key in [key for key, times in self.by_key.items() if times[-1] <= edge]:
            del self.by_key[key]


class Extent:
    """How many payments each key ever made, and when the first and the newest."""

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        self.by_key: dict[Hashable, tuple[int, int, int]] = {}

    def add(self, key: Hashable, at: int) -> None:
        """Takes in a payment, in any order."""
        found = self.by_key.get(key)
        if found is None:
            self.by_key[key] = (1, at, at)
        else:
            count, first, newest = found
            self.by_key[key] = (count + 1, at if at < first else first, at if at > newest else newest)


class Account:
    """Payments of one key and currency: `running[i]` is what the first i of them, and those forgotten, add up to."""

    __slots__ = ("running", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.running = [0]

    def add(self, at: int, amount: int) -> None:
        """Takes in a payment, one that becomes known late too."""
        times, running = self.times, self.running
        if not times or times[-1] <= at:
            times.append(at)
            running.append(running[-1] + amount)
            return
        place = bisect_right(times, at)
        times.insert(place, at)
        running.insert(place, running[place])
        for later in range(place + 1, len(running)):
            running[later] += amount

    def forget(self, edge: int) -> None:
        """Forgets the payments up to `edge`."""
        place = bisect_right(self.times, edge)
        del self.times[:place], self.running[:place]


class Amounts:
    """What the payments of each key were worth, by currency, as far back as the longest window reaches."""

    __slots__ = ("by_key", "keep")

    def __init__(self, keep: int) -> None:
        """Args: keep: The longest window, in microseconds."""
        self.keep = keep
        self.by_key: dict[Hashable, dict[str, Account]] = {}

    def add(self, key: Hashable, at: int, currency: str, amount: int) -> None:
        """Takes in a payment, in minor units."""
        accounts = self.by_key.get(key)
        if accounts is None:
            accounts = self.by_key[key] = {}
        account = accounts.get(currency)
        if account is None:
            account = accounts[currency] = Account()
        account.add(at, amount)
        times = account.times
        size = len(times)
        if size > _TRIM and times[size >> 1] <= times[-1] - self.keep:
            account.forget(times[-1] - self.keep)

    def since(self, key: Hashable, edge: int) -> Money:
        """Returns currency, sum and number of the payments after `edge`; currencies without any are left out."""
        accounts = self.by_key.get(key)
        if accounts is None:
            return ()
        found = []
        for currency, account in accounts.items():
            times, running = account.times, account.running
            place = 0 if times[0] > edge else bisect_right(times, edge)
            if place < len(times):
                found.append((currency, running[-1] - running[place], len(times) - place))
        return found

    def sweep(self, edge: int) -> None:
        """Forgets the keys and currencies that saw no payment after `edge`."""
        for key, accounts in list(self.by_key.items()):
            for currency in [name for name, account in accounts.items() if account.times[-1] <= edge]:
                del accounts[currency]
            if not accounts:
                del self.by_key[key]


class Totals:
    """What the payments of each key were ever worth, by currency: sum and number."""

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        self.by_key: dict[Hashable, dict[str, tuple[int, int]]] = {}

    def add(self, key: Hashable, at: int, currency: str, amount: int) -> None:
        """Takes in a payment, in minor units; `at` is not needed."""
        del at
        totals = self.by_key.setdefault(key, {})
        total, count = totals.get(currency, (0, 0))
        totals[currency] = (total + amount, count + 1)

    def ever(self, key: Hashable) -> Money:
        """Returns currency, sum and number."""
        return [(currency, total, count) for currency, (total, count) in self.by_key.get(key, {}).items()]


class Values:
    """Which different values the payments of each key had within one window, each with its newest time."""

    __slots__ = ("by_key", "keep")

    def __init__(self, keep: int) -> None:
        """Args: keep: The window, in microseconds."""
        self.keep = keep
        self.by_key: dict[Hashable, OrderedDict[Value, int]] = {}

    def add(self, key: Hashable, at: int, value: Value) -> None:
        """Takes in a payment's value; payments come in the order of time."""
        values = self.by_key.get(key)
        if values is None:
            values = self.by_key[key] = OrderedDict()
        values[value] = at
        values.move_to_end(value)

    def after(self, key: Hashable, edge: int) -> int:
        """Returns how many values were seen after `edge`, and forgets the others."""
        values = self.by_key.get(key)
        if values is None:
            return 0
        while values and next(iter(values.values())) <= edge:
            values.popitem(last=False)
        return len(values)

    def sweep(self, edge: int) -> None:
        """Forgets the keys that had no value after `edge`."""
        for key in [key for key, found in self.by_key.items() if not found or next(reversed(found.values())) <= edge]:
            del self.by_key[key]


class Newest:
    """What was said of the newest payment of each key of which it was said, and when that was made."""

    __slots__ = ("by_key", "keep")

    def __init__(self) -> None:
        self.keep = 0
        self.by_key: dict[Hashable, tuple[int, str]] = {}

    def add(self, key: Hashable, at: int, word: str) -> None:
        """Takes in a payment's word; payments come in the order of time."""
        self.by_key[key] = (at, word)

    def sweep(self, edge: int) -> None:
        """Forgets what was said up to `edge`."""
        for key in [key for key, (at, _) in self.by_key.items() if at <= edge]:
            del self.by_key[key]
