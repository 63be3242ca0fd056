"""Counts verdicts while payments pass, and adds them up at the end. Called by `run`, which makes the report of it.

What is counted for each payment is two small tables by verdict and by day; all else follows from them. Where payments
are so odd that the first grows large, it is added up in between.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import combinations
from typing import Final

from fraud_rules.backtest.judge import Verdict
from fraud_rules.backtest.payments import SECOND, Label
from fraud_rules.backtest.report import Change, Day, ScoreResult, Sum, Sums, ThresholdResult, sums_of
from fraud_rules.decision import Outcome

_DAY: Final = 86_400 * SECOND
_FULL: Final = 100_000
_STEPS: Final = 20
"""How many block thresholds the curve tries between 0 and 1."""

_Cell = list[int]
_ByLabel = dict[Label | None, Sum]


@dataclass(slots=True)
class RuleTally:
    """What one rule did so far."""

    hits: _ByLabel = field(default_factory=dict)
    unique: _ByLabel = field(default_factory=dict)


class RulesetTally:
    """What one ruleset did so far."""

    def __init__(self) -> None:
        self.rules: dict[str, RuleTally] = {}
        self.overlap: Counter[tuple[str, str]] = Counter()
        self.outcomes: dict[Outcome, _ByLabel] = {}
        self.scores: dict[tuple[int, Outcome | None], _ByLabel] = {}

    def take(self, verdict: Verdict, label: Label | None, sum_: Sum) -> None:
        """Adds payments that are alike."""
        settled = verdict.outcome if verdict.settled else None
        _add(self.outcomes.setdefault(verdict.outcome, {}), label, sum_)
        _add(self.scores.setdefault((verdict.score_thousandths, settled), {}), label, sum_)
        fired = (*verdict.fired, *verdict.shadow_fired)
        for name in fired:
            tally = self.rules.get(name)
            if tally is None:
                tally = self.rules[name] = RuleTally()
            _add(tally.hits, label, sum_)
            if len(fired) == 1:
                _add(tally.unique, label, sum_)
        for pair in combinations(sorted(fired), 2):
            self.overlap[pair] += sum_.count

    def results(self) -> Mapping[Outcome, Sums]:
        """Returns the payments by outcome."""
        return {outcome: sums_of(table) for outcome, table in self.outcomes.items()}

    def score_results(self) -> tuple[ScoreResult, ...]:
        """Returns the payments by score, from the lowest on."""
        rows = [ScoreResult(score, settled, sums_of(table)) for (score, settled), table in self.scores.items()]
        return tuple(sorted(rows, key=lambda row: (row.score_thousandths, row.settled or "")))

    def curve(self) -> tuple[ThresholdResult, ...]:
        """Returns what would be blocked by each of some thresholds, actions included, from the lowest on."""
        rows = self.score_results()
        by_action = sum((row.payments for row in rows if row.settled is Outcome.BLOCK), Sums())
        points = []
        for step in range(1, _STEPS + 1):
            block = step * 1_000 // _STEPS
            by_score = (row.payments for row in rows if row.settled is None and row.score_thousandths >= block)
            points.append(ThresholdResult(block, sum(by_score, by_action)))
        return tuple(points)


class Tally:
    """Counts the verdicts of the new ruleset, and of the live one where there is one."""

    def __init__(self, forget: Callable[[], None]) -> None:
        """Args: forget: Called after the tables were added up, when verdicts need not be the same objects any more."""
        self._forget = forget
        self._counts: dict[tuple[Verdict, Verdict | None, Label | None], _Cell] = {}
        self._days: dict[tuple[int, Label | None, Outcome, Outcome | None], _Cell] = {}
        self.new, self.live = RulesetTally(), RulesetTally()

    def take(self, at: int, label: Label | None, cents: int, new: Verdict, live: Verdict | None) -> None:
        """Counts one payment."""
        key = (new, live, label)
        cell = self._counts.get(key)
        if cell is None:
            if len(self._counts) >= _FULL:
                self._add_up()
            self._counts[key] = [1, cents]
        else:
            cell[0] += 1
            cell[1] += cents
        day = (at // _DAY, label, new.outcome, live.outcome if live is not None else None)
        cell = self._days.get(day)
        if cell is None:
            self._days[day] = [1, cents]
        else:
            cell[0] += 1
            cell[1] += cents

    def finish(self) -> None:
        """Adds everything up; call it once, before the results are read."""
        self._add_up()

    def payments(self) -> Sums:
        """Returns all payments."""
        return _added((label, cell) for (_, label, _, _), cell in self._days.items())

    def changes(self) -> tuple[Change, ...]:
        """Returns the payments by what the live and the new ruleset say."""
        table: dict[tuple[Outcome, Outcome], list[tuple[Label | None, _Cell]]] = {}
        for (_, label, after, before), cell in self._days.items():
            if before is not None:
                table.setdefault((before, after), []).append((label, cell))
        return tuple(Change(before, after, _added(cells)) for (before, after), cells in sorted(table.items()))

    def days(self) -> tuple[Day, ...]:
        """Returns the days that saw a payment, in order."""
        new: dict[int, dict[Outcome, list[tuple[Label | None, _Cell]]]] = {}
        live: dict[int, dict[Outcome, list[tuple[Label | None, _Cell]]]] = {}
        for (day, label, after, before), cell in self._days.items():
            new.setdefault(day, {}).setdefault(after, []).append((label, cell))
            if before is not None:
                live.setdefault(day, {}).setdefault(before, []).append((label, cell))
        return tuple(
            Day(
                date(1970, 1, 1) + timedelta(days=day),
                {outcome: _added(cells) for outcome, cells in new[day].items()},
                {outcome: _added(cells) for outcome, cells in live.get(day, {}).items()},
            )
            for day in sorted(new)
        )

    def _add_up(self) -> None:
        for (new, live, label), (count, cents) in self._counts.items():
            sum_ = Sum(count, cents)
            self.new.take(new, label, sum_)
            if live is not None:
                self.live.take(live, label, sum_)
        self._counts.clear()
        self._forget()


def _add(table: _ByLabel, label: Label | None, sum_: Sum) -> None:
    table[label] = table.get(label, Sum()) + sum_


def _added(cells: Iterable[tuple[Label | None, _Cell]]) -> Sums:
    table: _ByLabel = {}
    for label, (count, cents) in cells:
        _add(table, label, Sum(count, cents))
    return sums_of(table)
