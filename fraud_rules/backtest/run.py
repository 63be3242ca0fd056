"""A backtest: payments of the past in, a report out. Called by the command line and by whoever keeps decisions."""

import time
from collections.abc import Mapping

from fraud_rules.backtest.history import History
from fraud_rules.backtest.judge import Bench
from fraud_rules.backtest.payments import Label, moment_of
from fraud_rules.backtest.questions import Cents
from fraud_rules.backtest.report import Report, Sum, Sums, sums_of
from fraud_rules.backtest.results import removed_rules, ruleset_result
from fraud_rules.backtest.sources import Opened, Progress, Source
from fraud_rules.backtest.tally import Tally
from fraud_rules.expressions import facts_of, memberships_of
from fraud_rules.facts import MAX_INTEGER, Fact
from fraud_rules.ruleset import Ruleset
from fraud_rules.share import STABLE_BY
from fraud_rules.velocity import DISTINCT, VelocityFact


def run_backtest(source: Source, ruleset: Ruleset, live: Ruleset | None, progress: Progress) -> Report:
    """Runs a ruleset over the payments of a source, and beside it the live one.

    Facts of the past are counted anew as of each payment's time, for exactly the windows that the rulesets ask for.

    Args:
        live: What is in force today; None to compare with nothing. Amounts of both are converted by `ruleset.rates`.

    Raises:
        DataError: The source cannot be read, or a payment of it is not sound.
    """
    started = time.perf_counter()
    rulesets = [ruleset] if live is None else [ruleset, live]
    asked = {fact.name: fact for one in rulesets for fact in one.velocity}
    windows = [fact.within_seconds for fact in asked.values()]
    reach = None if None in windows else max((window for window in windows if window is not None), default=0)
    opened = source.open(_words(rulesets, asked), _needed(rulesets, asked), reach)
    cents = Cents(ruleset.rates)
    walk = _Walk(rulesets, History(asked.values(), cents), cents)
    walk.all(opened, progress)
    return walk.report(opened, time.perf_counter() - started)


class _Walk:
    """Goes over the payments once."""

    def __init__(self, rulesets: list[Ruleset], history: History, cents: Cents) -> None:
        self._rulesets, self._history, self._cents = rulesets, history, cents
        self._bench = Bench(rulesets)
        self._tally = Tally(self._forget)
        self._first: int | None = None
        self._last: int | None = None
        self._without_rate = 0
        self._blocked_then = Sums()

    def all(self, opened: Opened, progress: Progress) -> None:
        """Judges every payment by what was known when it was made, and only then lets it be part of the past."""
        history, tally, convert = self._history, self._tally, self._cents.convert
        hits_of, judges = self._bench.hits, self._bench.judges
        new, live = judges[0].verdict, judges[1].verdict if len(judges) > 1 else None
        payment = None
        for payment in opened.payments(progress):
            history.tell(payment)
            if payment.at < opened.judged_from:
                history.add(payment)
                continue
            if self._first is None:
                self._first = payment.at
            known, without_rate = payment.facts, False
            cents = known.get("amount_usd")
            if cents is None:
                cents = convert(payment.amount, payment.currency)
                without_rate = cents is None
                if cents is not None:
                    known["amount_usd"] = cents = min(cents, MAX_INTEGER)
            hits = hits_of(known)
            verdict = new(hits, known, without_rate)
            before = live(hits, known, without_rate) if live is not None else None
            assert cents is None or isinstance(cents, int)
            tally.take(payment.at, payment.label, cents or 0, verdict, before)
            if without_rate or payment.blocked:
                self._note(without_rate, payment.blocked, payment.label, cents or 0)
            history.add(payment)
        self._last = payment.at if payment is not None and self._first is not None else None
        tally.finish()

    def report(self, opened: Opened, seconds: float) -> Report:
        """Puts the numbers together."""
        tally, ruleset = self._tally, self._rulesets[0]
        live = self._rulesets[1] if len(self._rulesets) > 1 else None
        return Report(
            source=opened.name,
            first=None if self._first is None else moment_of(self._first),
            last=None if self._last is None else moment_of(self._last),
            seconds=seconds,
            payments=tally.payments(),
            without_rate=self._without_rate,
            blocked_then=self._blocked_then,
            ruleset=ruleset_result(ruleset, tally.new, live),
            live=None if live is None else ruleset_result(live, tally.live, None),
            changes=tally.changes(),
            days=tally.days(),
            removed=removed_rules(ruleset, live),
            missing=opened.missing(),
            notes=opened.notes,
        )

    def _note(self, without_rate: bool, blocked: bool, label: Label | None, cents: int) -> None:
        self._without_rate += without_rate
        if blocked:
            self._blocked_then += sums_of({label: Sum(1, cents)})

    def _forget(self) -> None:
        for judge in self._bench.judges:
            judge.forget()


def _words(rulesets: list[Ruleset], asked: Mapping[str, VelocityFact]) -> dict[str, Fact]:
    return {name: word for one in rulesets for name, word in one.words.items() if name not in asked}


def _needed(rulesets: list[Ruleset], asked: Mapping[str, VelocityFact]) -> set[str]:
    """The facts that the rules name, and those that their velocity rests on; of the merchant every source knows."""
    named = {fact.name for one in rulesets for condition in one.conditions for fact in facts_of(condition)}
    keys = {fact.by for fact in asked.values()} | {fact.over for fact in asked.values() if fact.over in DISTINCT}
    listed = {one.listed for each in rulesets for condition in each.conditions for one in memberships_of(condition)}
    shares = set(STABLE_BY) if any(rule.percent < 100 for one in rulesets for rule in one.rules) else set()
    return (named | (keys - {"merchant"}) | listed | shares) - asked.keys()
