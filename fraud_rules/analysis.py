"""What comparing a file's rules with each other shows: rules that add nothing, or can never matter. Called by `check`.

Nothing is claimed that is not certain: where a rule is said to imply another, no payment makes the first true and not
the second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from fraud_rules.expressions import And, facts_of
from fraud_rules.rules import Action, Mode, Rule, RuleFile
from fraud_rules.satisfiability import Way, excludes, falsifiable, possible_ways, satisfiable

MAX_COMPARISONS = 200_000
"""Pairs of ways that are looked at, so that a file of thousands of rules is done within seconds."""

_RANK = {Action.ALLOW: 4, Action.BLOCK: 3, Action.CHALLENGE: 2, Action.REVIEW: 1, None: 0}
_DONE = {
    Action.ALLOW: "allows the payment",
    Action.BLOCK: "blocks the payment",
    Action.CHALLENGE: "challenges the payment",
    Action.REVIEW: "sends the payment to review",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd about a rule, with what to do about it."""

    rule: Rule
    message: str
    hint: str


class _Judged:
    """A rule with what is known of its condition, worked out once."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.facts = frozenset(fact.name for fact in facts_of(rule.condition))

    @cached_property
    def ways(self) -> Sequence[Way] | None:
        """The ways to be true."""
        return possible_ways(self.rule.condition)

    @cached_property
    def escapes(self) -> Sequence[Way] | None:
        """The ways not to be true."""
        return possible_ways(self.rule.condition, truth=False, certain=False)


class _Budget:
    """How much may still be compared."""

    def __init__(self, comparisons: int) -> None:
        self._left = comparisons

    def spend(self, comparisons: int) -> bool:
        """Takes so many, if they are there."""
        if comparisons > self._left:
            return False
        self._left -= comparisons
        return True


def analyse(file: RuleFile) -> Sequence[Finding]:
    """Returns what is odd about rules, in the order of the file."""
    sound = [_Judged(rule) for rule in file.rules if satisfiable(rule.condition)]
    budget = _Budget(MAX_COMPARISONS)
    return [finding for judged in sound for finding in _of_rule(judged, sound, file, budget)]


def implies(one: Rule, other: Rule) -> bool:
    """Says whether no payment makes the first rule's condition true and not the second's; True is certain."""
    return _implies(_Judged(one), _Judged(other), _Budget(MAX_COMPARISONS))


def _of_rule(judged: _Judged, others: Sequence[_Judged], file: RuleFile, budget: _Budget) -> Iterator[Finding]:
    rule = judged.rule
    if not falsifiable(rule.condition, unknown_counts=True):
        yield Finding(rule, f"{rule.id} is always true", "say when it should not fire")
        return
    if not falsifiable(rule.condition, unknown_counts=False):
        facts = ", ".join(sorted(judged.facts))
        yield Finding(rule, f"{rule.id} is true whatever the values of {facts}", f"ask known({facts}) if that is meant")
    if file.applies_to is not None and not satisfiable(And((file.applies_to, rule.condition))):
        yield Finding(rule, f"{rule.id} can never fire: applies_to leaves its payments out", "change one of them")
        return
    if rule.mode is Mode.LIVE:
        yield from _overtaken(judged, others, file, budget)


def _overtaken(judged: _Judged, others: Sequence[_Judged], file: RuleFile, budget: _Budget) -> Iterator[Finding]:
    """Yields the first live rule beside which the rule changes no outcome, and the first that asks the same."""
    rule = judged.rule
    for other in others:
        if other.rule is rule or not _wherever(other.rule, rule, file) or not _implies(judged, other, budget):
            continue
        strength, rank = _RANK[other.rule.action], _RANK[rule.action]
        line = f"{other.rule.id} in line {other.rule.line}"
        if strength > rank and other.rule.action is not None:
            done = _DONE[other.rule.action]
            message = f"{rule.id} never changes an outcome: whenever it fires, {line} {done}"
        elif strength == rank and rank and not _twins(judged, other, budget):
            message = f"{rule.id} is subsumed: whenever it fires, {line} fires with the same action"
        elif _twins(judged, other, budget) and rule.condition != other.rule.condition and rule.line > other.rule.line:
            message = f"{rule.id} asks the same as {line}, in other words"
        else:
            continue
        yield Finding(rule, message, "remove it, or narrow the other")
        return


def _wherever(other: Rule, rule: Rule, file: RuleFile) -> bool:
    """Says whether the other rule decides every payment that the rule looks at."""
    if other.mode is not Mode.LIVE or other.percent < 100:
        return False
    spared = {merchant for merchant, terms in file.merchants.items() if other.id in terms.off}
    if other.merchants:
        return bool(rule.merchants) and set(rule.merchants) <= set(other.merchants) - spared
    return all(not file.concerns(rule, merchant) for merchant in spared)


def _twins(one: _Judged, other: _Judged, budget: _Budget) -> bool:
    return _implies(one, other, budget) and _implies(other, one, budget)


def _implies(one: _Judged, other: _Judged, budget: _Budget) -> bool:
    if not one.facts & other.facts:
        return False
    ways, escapes = one.ways, other.escapes
    if ways is None or escapes is None or not budget.spend(len(ways) * len(escapes)):
        return False
    return excludes(ways, escapes)
