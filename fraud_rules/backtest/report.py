"""What a backtest found, as plain values. Made by `run`, shown by `terminal`, `markdown`, `page` and `as_json`.

Money is in US cents by the ruleset's rates. "Labelled" are payments of which it is known whether they were fraud;
whatever speaks of precision or recall speaks of them alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from fraud_rules.backtest.payments import Label
from fraud_rules.decision import Outcome


@dataclass(frozen=True, slots=True)
class Sum:
    """How many payments, and their money in US cents; payments in a currency without a rate count with 0 cents."""

    count: int = 0
    cents: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.count + other.count, self.cents + other.cents)


@dataclass(frozen=True, slots=True)
class Sums:
    """Payments by what is known of them."""

    fraud: Sum = Sum()
    legit: Sum = Sum()
    unlabelled: Sum = Sum()

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.fraud + other.fraud, self.legit + other.legit, self.unlabelled + other.unlabelled)

    @property
    def all(self) -> Sum:
        """All of them."""
        return self.fraud + self.legit + self.unlabelled

    @property
    def labelled(self) -> int:
        """How many have a label."""
        return self.fraud.count + self.legit.count

    @property
    def precision(self) -> float | None:
        """The share of fraud among the labelled, 0 to 1; None where none is labelled."""
        return share(self.fraud.count, self.labelled)


def share(part: int, whole: int) -> float | None:
    """Returns part / whole, or None for a part of nothing."""
    return part / whole if whole else None


def sums_of(table: Mapping[Label | None, Sum]) -> Sums:
    """Makes `Sums` of a table by label."""
    nothing = Sum()
    return Sums(table.get(Label.FRAUD, nothing), table.get(Label.LEGIT, nothing), table.get(None, nothing))


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule did.

    Attributes:
        effect: `block`, `score 0.3` and the like.
        mode: `live`, `shadow`, or `live, 10 %`.
        hits: Payments for which it fired, as a shadow too.
        unique: Those for which no other rule fired.
        change: Against the live ruleset: `new`, `changed`, or empty.
    """

    id: str
    why: str
    effect: str
    mode: str
    hits: Sums
    unique: Sums
    change: str = ""


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """Payments of one score; `settled` by a rule's action, in which case no threshold matters."""

    score_thousandths: int
    settled: Outcome | None
    payments: Sums


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """What would be blocked if the threshold `block` were this one."""

    block_thousandths: int
    blocked: Sums


@dataclass(frozen=True, slots=True)
class RulesetResult:
    """What a whole ruleset did.

    Attributes:
        thresholds: Thousandths by outcome, those that the file has.
        overlap: Payments for which both of two rules fired, by their ids in the order of the file.
    """

    name: str
    hash: str
    outcomes: Mapping[Outcome, Sums]
    thresholds: Mapping[Outcome, int]
    rules: tuple[RuleResult, ...]
    overlap: Mapping[tuple[str, str], int]
    scores: tuple[ScoreResult, ...]
    curve: tuple[ThresholdResult, ...]

    def of(self, outcome: Outcome) -> Sums:
        """The payments with an outcome."""
        return self.outcomes.get(outcome, Sums())


@dataclass(frozen=True, slots=True)
class Change:
    """Payments for which the live ruleset said one thing and the new one says another, or the same."""

    before: Outcome
    after: Outcome
    payments: Sums


@dataclass(frozen=True, slots=True)
class Day:
    """One day in UTC: its payments by outcome."""

    day: date
    outcomes: Mapping[Outcome, Sums]
    live: Mapping[Outcome, Sums]

    @property
    def total(self) -> Sums:
        """All payments of the day."""
        return sum(self.outcomes.values(), Sums())


@dataclass(frozen=True, slots=True)
class Report:
    """A backtest's whole result.

    Attributes:
        first, last: When the first and the last payment were made; None where there is none.
        seconds: How long it took.
        without_rate: Payments in currencies that the rates file does not know; their money counts as 0.
        blocked_then: Payments that rules had blocked at the time, so that nobody knows whether they were fraud.
        missing: Facts that the rules need and the source does not have.
        removed: Rules of the live ruleset that the new one no longer has.
    """

    source: str
    first: datetime | None
    last: datetime | None
    seconds: float
    payments: Sums
    without_rate: int
    blocked_then: Sums
    ruleset: RulesetResult
    live: RulesetResult | None
    changes: tuple[Change, ...]
    days: tuple[Day, ...]
    removed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def changed(self, *, newly: Outcome) -> Sums:
        """Payments that have the outcome now and did not have it by the live ruleset."""
        return sum((one.payments for one in self.changes if one.after is newly is not one.before), Sums())

    def no_longer(self, outcome: Outcome) -> Sums:
        """Payments that had the outcome by the live ruleset and do not have it now."""
        return sum((one.payments for one in self.changes if one.before is outcome is not one.after), Sums())
