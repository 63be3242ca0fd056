"""What rulesets say of a payment, by the generated evaluator and at the speed of a backtest. Called by `run`.

The engine and the evaluator are compared when a ruleset is loaded, so the evaluator's word is the engine's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from fraud_rules.decision import BUILT_IN, Decision, Outcome
from fraud_rules.evaluator import compile_tests
from fraud_rules.expressions import Condition
from fraud_rules.facts import Value
from fraud_rules.ruleset import Ruleset

_REMEMBERED: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What became of a payment; equal ones are one object, so that they can be counted fast.

    Attributes:
        settled: Not the score but an action settled the outcome.
    """

    outcome: Outcome
    score_thousandths: int
    fired: tuple[str, ...]
    shadow_fired: tuple[str, ...]
    settled: bool


class Judge:
    """One ruleset's verdicts. Where they depend on nothing but the rules that fire, each is made once."""

    def __init__(self, ruleset: Ruleset, places: Sequence[int]) -> None:
        """Args: places: Where each of the ruleset's conditions stands among those that are evaluated together."""
        self._ruleset = ruleset
        self._own: dict[int, list[int]] = {}
        for own, joint in enumerate(places):
            self._own.setdefault(joint, []).append(own)
        self._acting = {rule.id for rule in ruleset.rules if rule.action is not None} | set(BUILT_IN)
        self._by_customer = any(rule.percent < 100 for rule in ruleset.rules)
        self._by_merchant = bool(ruleset.file.merchants) or any(rule.merchants for rule in ruleset.rules)
        self._by_hits: dict[tuple[tuple[int, ...], bool, Value | None], Verdict] = {}
        self._same: dict[tuple[object, ...], Verdict] = {}

    def verdict(self, hits: tuple[int, ...], known: Mapping[str, Value], without_rate: bool) -> Verdict:
        """Says what becomes of a payment.

        Args:
            hits: Which of the conditions that are evaluated together are true.
            known: The facts, admitted, with `amount_usd`.
            without_rate: The payment's currency has no rate.
        """
        if self._by_customer:
            return self._interned(self._decide(hits, known, without_rate))
        key = (hits, without_rate, known.get("merchant") if self._by_merchant else None)
        found = self._by_hits.get(key)
        if found is None:
            if len(self._by_hits) >= _REMEMBERED:
                self._by_hits.clear()
            found = self._by_hits[key] = self._interned(self._decide(hits, known, without_rate))
        return found

    def forget(self) -> None:
        """Forgets all verdicts, so that equal ones are no longer one object; memory would grow with odd payments."""
        self._by_hits.clear()
        self._same.clear()

    def _decide(self, hits: tuple[int, ...], known: Mapping[str, Value], without_rate: bool) -> Decision:
        fired = {own for hit in hits for own in self._own.get(hit, ())}
        return self._ruleset.settle(fired, known, without_rate)

    def _interned(self, decision: Decision) -> Verdict:
        key = (decision.outcome, decision.score_thousandths, decision.fired, decision.shadow_fired)
        found = self._same.get(key)
        if found is None:
            settled = not self._acting.isdisjoint(decision.fired)
            found = self._same[key] = Verdict(*key, settled)
        return found


class Bench:
    """One or two rulesets, evaluated together: a condition that both have is evaluated once."""

    def __init__(self, rulesets: Sequence[Ruleset]) -> None:
        places: dict[Condition, int] = {}
        self.judges = [
            Judge(ruleset, [places.setdefault(condition, len(places)) for condition in ruleset.conditions])
            for ruleset in rulesets
        ]
        self._evaluate = compile_tests(list(places))
        self._all = range(len(places))

    def hits(self, known: Mapping[str, Value]) -> tuple[int, ...]:
        """Returns the conditions that are true of a payment, in order."""
        return tuple(compress(self._all, self._evaluate(known)))
