"""The past as of each payment: what the rules' velocity facts were worth at that moment. Called by `run`.

Payments come in the order of time. Each is counted from the next one on; a refund, a dispute or a warning is counted
from the moment when it was known, in the window of its payment, as the gateway counts it.
"""

import heapq
from collections.abc import Callable, Hashable, Iterable
from typing import Final, NamedTuple

from fraud_rules.backtest.past import Amounts, Extent, Newest, Times, Totals, Values
from fraud_rules.backtest.payments import SECOND, Payment
from fraud_rules.backtest.questions import (
    Ask,
    Cents,
    ask_amounts,
    ask_distinct,
    ask_extent,
    ask_last,
    ask_times,
    ask_totals,
    ask_values,
)
from fraud_rules.facts import Value
from fraud_rules.velocity import Function, VelocityFact

LATE: Final = ("refunds", "disputes", "early_fraud_warnings")
"""What becomes known of a payment after it was made, each at its own time."""

_WINDOWS_BETWEEN_SWEEPS: Final = 3
_MONEY = (Function.SUM, Function.AVERAGE)
_Key = tuple[str, Value]
_Swept = Times | Amounts | Values | Newest
_Takes = Callable[[Hashable, int], None]
_TakesMoney = Callable[[Hashable, int, str, int], None]


class _Event(NamedTuple):
    """Something that becomes known of a payment; events are due in the order of `known_at`."""

    known_at: int
    order: int
    kind: str
    at: int
    keys: tuple[_Key | None, ...]
    currency: str
    amount: int


class History:
    """Everything that the rules may ask of the past, kept as small as their windows allow."""

    def __init__(self, asked: Iterable[VelocityFact], cents: Cents) -> None:
        """Takes the facts that the rules ask for, each name once, and what converts their sums."""
        facts = tuple(asked)
        self._by = tuple(dict.fromkeys((fact.by, fact.platform) for fact in facts))
        self._cents = cents
        self._times: dict[tuple[int, str], Times] = {}
        self._extents: dict[tuple[int, str], Extent] = {}
        self._amounts: dict[tuple[int, str], Amounts] = {}
        self._totals: dict[tuple[int, str], Totals] = {}
        self._values: list[tuple[int, str, Values]] = []
        self._sets: dict[tuple[int, str], dict[Hashable, set[Value]]] = {}
        self._said: dict[tuple[int, str], Newest] = {}
        self._asks: list[list[tuple[str, Ask]]] = [[] for _ in self._by]
        self._keys: tuple[_Key | None, ...] = ()
        self._make_room(facts)
        for fact in facts:
            self._asks[self._place(fact)[0]].append((fact.name, self._ask(fact)))
        self._takes = {kind: self._takers(kind) for kind in {fact.over for fact in facts}}
        self._late = tuple(kind for kind in LATE if any(self._takes.get(kind, ())))
        self._events: list[_Event] = []
        self._reach = self._longest(facts)
        forever = {self._place(fact) for fact in facts if fact.within_seconds is None}
        self._swept: tuple[_Swept, ...] = (
            *self._times.values(),
            *self._amounts.values(),
            *(values for _, _, values in self._values),
            *(newest for place, newest in self._said.items() if place not in forever),
        )
        self._due: dict[int, int] = {}
        self._next_sweep = 0

    def tell(self, payment: Payment) -> None:
        """Adds the velocity facts to the payment's own, as they were when it was made; unknown ones stay out."""
        now, facts = payment.at, payment.facts
        events = self._events
        while events and events[0].known_at <= now:
            self._take_event(heapq.heappop(events))
        if now >= self._next_sweep:
            self._sweep(now)
        merchant = payment.merchant
        keys: list[_Key | None] = []
        for (by, platform), asks in zip(self._by, self._asks, strict=True):
            value = merchant if by == "merchant" else facts.get(by)
            if value is None:
                keys.append(None)
                continue
            key = (payment.world if platform else merchant, value)
            keys.append(key)
            for name, ask in asks:
                number = ask(key, now)
                if number is not None:
                    facts[name] = number
        self._keys = tuple(keys)

    def add(self, payment: Payment) -> None:
        """Takes in the payment that was told last, so that later ones count it."""
        self._take("payments", self._keys, payment.at, payment.currency, payment.amount)
        for kind, happened in (
            ("approvals", payment.approved),
            ("declines", payment.declined),
            ("blocks", payment.blocked),
        ):
            if happened:
                self._take(kind, self._keys, payment.at, payment.currency, payment.amount)
        if self._late:
            self._await(payment)
        self._add_values(payment)

    def size(self) -> int:
        """Returns how many payments, values and events it remembers within windows; what is asked of all time aside."""
        held = len(self._events)
        for times in self._times.values():
            held += sum(map(len, times.by_key.values()))
        for amounts in self._amounts.values():
            held += sum(len(account.times) for accounts in amounts.by_key.values() for account in accounts.values())
        for _, _, values in self._values:
            held += sum(map(len, values.by_key.values()))
        return held + sum(len(newest.by_key) for newest in self._said.values())

    def _take(self, kind: str, keys: tuple[_Key | None, ...], at: int, currency: str, amount: int) -> None:
        takers = self._takes.get(kind)
        if takers is None:
            return
        for index, take in takers[0]:
            key = keys[index]
            if key is not None:
                take(key, at)
        for index, take_money in takers[1]:
            key = keys[index]
            if key is not None:
                take_money(key, at, currency, amount)

    def _add_values(self, payment: Payment) -> None:
        keys, facts = self._keys, payment.facts
        for index, over, values in self._values:
            # Merchants are told apart across the platform alone, where each has a name.
            key, value = keys[index], payment.merchant if over == "merchant" else facts.get(over)
            if key is not None and value is not None:
                values.add(key, payment.at, value)
        for (index, over), sets in self._sets.items():
            key, value = keys[index], facts.get(over)
            if key is not None and value is not None:
                sets.setdefault(key, set()).add(value)
        if payment.said:
            for (index, over), newest in self._said.items():
                key, word = keys[index], payment.said.get(over)
                if key is not None and word is not None:
                    newest.add(key, payment.at, word)

    def _await(self, payment: Payment) -> None:
        """Remembers what will become known of the payment, where it can still be asked for by then."""
        for kind in self._late:
            known_at, amount = _known(kind, payment)
            if known_at is not None and (self._reach is None or known_at - payment.at < self._reach):
                event = _Event(known_at, payment.place, kind, payment.at, self._keys, payment.currency, amount)
                heapq.heappush(self._events, event)

    def _take_event(self, event: _Event) -> None:
        self._take(event.kind, event.keys, event.at, event.currency, event.amount)

    def _sweep(self, now: int) -> None:
        """Forgets idle keys, each container once in so many windows of its own: oftener costs more than it frees."""
        for place, container in enumerate(self._swept):
            pause = container.keep * _WINDOWS_BETWEEN_SWEEPS
            due = self._due.setdefault(place, now + pause)
            if now >= due:
                container.sweep(now - container.keep)
                self._due[place] = now + pause
        self._next_sweep = min(self._due.values(), default=now + 86_400 * SECOND)

    def _place(self, fact: VelocityFact) -> tuple[int, str]:
        return self._by.index((fact.by, fact.platform)), fact.over

    def _make_room(self, facts: Iterable[VelocityFact]) -> None:
        """Makes the containers; those of one key and kind are shared by all windows over them."""
        for fact in facts:
            place = self._place(fact)
            keep = None if fact.within_seconds is None else fact.within_seconds * SECOND
            if fact.function is Function.LAST:
                newest = self._said.setdefault(place, Newest())
                newest.keep = max(newest.keep, keep or 0)
            elif fact.function is Function.DISTINCT:
                if keep is None:
                    self._sets.setdefault(place, {})
            elif keep is None:
                if fact.function in _MONEY:
                    self._totals.setdefault(place, Totals())
                else:
                    self._extents.setdefault(place, Extent())
            elif fact.function in _MONEY:
                amounts = self._amounts.setdefault(place, Amounts(keep))
                amounts.keep = max(amounts.keep, keep)
            else:
                times = self._times.setdefault(place, Times(keep))
                times.keep = max(times.keep, keep)

    def _ask(self, fact: VelocityFact) -> Ask:
        place = self._place(fact)
        if fact.function is Function.LAST:
            within = None if fact.within_seconds is None else fact.within_seconds * SECOND
            return ask_last(self._said[place].by_key, within)
        if fact.within_seconds is None:
            return self._ask_ever(fact.function, place)
        return self._ask_within(fact.function, place, fact.within_seconds * SECOND)

    def _ask_ever(self, function: Function, place: tuple[int, str]) -> Ask:
        if function is Function.DISTINCT:
            return ask_distinct(self._sets[place])
        if function in _MONEY:
            return ask_totals(self._totals[place], function, self._cents)
        return ask_extent(self._extents[place], function)

    def _ask_within(self, function: Function, place: tuple[int, str], within: int) -> Ask:
        if function is Function.DISTINCT:
            values = Values(within)
            self._values.append((*place, values))
            return ask_values(values)
        if function in _MONEY:
            return ask_amounts(self._amounts[place], function, within, self._cents)
        return ask_times(self._times[place], function, within)

    def _takers(self, kind: str) -> tuple[list[tuple[int, _Takes]], list[tuple[int, _TakesMoney]]]:
        takes: list[tuple[int, _Takes]] = []
        money: list[tuple[int, _TakesMoney]] = []
        for containers in (self._times, self._extents):
            takes += [(index, container.add) for (index, over), container in containers.items() if over == kind]
        for purses in (self._amounts, self._totals):
            money += [(index, purse.add) for (index, over), purse in purses.items() if over == kind]
        return takes, money

    @staticmethod
    def _longest(facts: Iterable[VelocityFact]) -> int | None:
        windows = [fact.within_seconds for fact in facts if fact.over in LATE]
        if None in windows:
            return None
        return max((window * SECOND for window in windows if window is not None), default=0)


def _known(kind: str, payment: Payment) -> tuple[int | None, int]:
    match kind:
        case "refunds":
            return payment.refunded_at, payment.refunded
        case "disputes":
            return payment.disputed_at, payment.amount
        case _:
            return payment.warned_at, payment.amount
