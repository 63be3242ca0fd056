"""Why a payment is decided as it is: every rule with its truth, and the values that each part of it saw.

Called by `kassa rules explain`, for facts given by hand and for those that a decision kept.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fraud_rules.decision import Decision
from fraud_rules.evaluator import compile_conditions
from fraud_rules.expressions import And, Condition, Membership, Not, Or, facts_of
from fraud_rules.facts import Facts, Value
from fraud_rules.rules import Mode, Rule
from fraud_rules.ruleset import Ruleset
from fraud_rules.runtime_lists import EMPTY, RuntimeLists
from fraud_rules.share import in_share
from fraud_rules.writing import written


class Standing(StrEnum):
    """What a rule's firing does to this payment."""

    LIVE = "live"
    SHADOW = "shadow"
    SNOOZED = "snoozed: told of, and not acted upon"
    OUTSIDE_PERCENT = "shadow: outside of its percent"
    OTHER_MERCHANTS = "not for this merchant"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Part:
    """A condition, or a part of one.

    Attributes:
        text: As an analyst would write it.
        truth: None where it is unknown.
        seen: The facts that it asks for, with None for the unknown; empty where `parts` say it.
        joint: `all of`, `any of` or `not`, where there are parts.
        parts: What `and`, `or` and `not` join.
    """

    text: str
    truth: bool | None
    seen: Mapping[str, Value | None]
    joint: str
    parts: tuple["Part", ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the part as plain values."""
        parts = [part.to_json() for part in self.parts]
        return {"text": self.text, "truth": self.truth, "seen": dict(self.seen), "joint": self.joint, "parts": parts}


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """One rule, and whether it fires."""

    rule: Rule
    standing: Standing
    condition: Part

    def to_json(self) -> dict[str, Any]:
        """Returns the rule as plain values."""
        rule, condition = self.rule, self.condition
        does = {"score_thousandths": rule.score_thousandths, "action": rule.action and str(rule.action)}
        standing = {"standing": str(self.standing), "truth": condition.truth}
        return {"id": rule.id, "why": rule.why, **does, **standing, "condition": condition.to_json()}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and what every rule of the file had to do with it.

    Attributes:
        applies_to: None where the file has none.
        rules: In the order of the file, those that are off included.
    """

    decision: Decision
    applies_to: Part | None
    rules: tuple[ExplainedRule, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as plain values; facts in their own units."""
        decision = self.decision
        return {
            "ruleset": decision.ruleset,
            "ruleset_hash": decision.ruleset_hash,
            "outcome": str(decision.outcome),
            "score_thousandths": decision.score_thousandths,
            "fired": list(decision.fired),
            "shadow_fired": list(decision.shadow_fired),
            "snoozed": list(decision.snoozed),
            "applied": decision.applied,
            "facts": dict(decision.facts),
            "applies_to": self.applies_to.to_json() if self.applies_to else None,
            "rules": [rule.to_json() for rule in self.rules],
        }


def explain(
    ruleset: Ruleset,
    facts: Facts,
    runtime: RuntimeLists = EMPTY,
    at: datetime | None = None,
    snoozed: Set[str] = frozenset(),
) -> Explanation:
    """Decides on the facts, and says of every rule why it fires or not.

    Args:
        facts, runtime, at, snoozed: As for `Ruleset.decide`; a decision's own facts give that decision again.
    """
    decision, file = ruleset.decide(facts, runtime, at, snoozed), ruleset.file
    conditions = [part for condition in file.conditions for part in _walk(condition)]
    truths = dict(zip(conditions, compile_conditions(conditions)(decision.facts), strict=True))
    applies_to = None if file.applies_to is None else _part(file.applies_to, truths, decision.facts)
    rules = tuple(
        ExplainedRule(
            rule, _standing(ruleset, rule, decision.facts, snoozed), _part(rule.condition, truths, decision.facts)
        )
        for rule in file.rules
    )
    return Explanation(decision, applies_to, rules)


def _walk(condition: Condition) -> Iterator[Condition]:
    yield condition
    for inner in _inner(condition)[1]:
        yield from _walk(inner)


def _inner(condition: Condition) -> tuple[str, Sequence[Condition]]:
    match condition:
        case And():
            return "all of", condition.operands
        case Or():
            return "any of", condition.operands
        case Not(operand=And() | Or() | Not() as operand):
            return "not", (operand,)
        case _:
            return "", ()  # `not in` and the like read better whole


def _part(condition: Condition, truths: Mapping[Condition, bool | None], known: Mapping[str, Value]) -> Part:
    joint, conditions = _inner(condition)
    parts = tuple(_part(one, truths, known) for one in conditions)
    return Part(written(condition), truths[condition], {} if parts else _seen(condition, known), joint, parts)


def _seen(condition: Condition, known: Mapping[str, Value]) -> Mapping[str, Value | None]:
    names = [fact.name for fact in facts_of(condition)]
    atom = condition.operand if isinstance(condition, Not) else condition
    if isinstance(atom, Membership) and atom.listed is not None:
        names.append(atom.listed.name)
    return {name: known.get(name) for name in names}


def _standing(ruleset: Ruleset, rule: Rule, known: Mapping[str, Value], snoozed: Set[str]) -> Standing:
    if rule.mode is Mode.OFF:
        return Standing.OFF
    if not ruleset.file.concerns(rule, known.get("merchant")):
        return Standing.OTHER_MERCHANTS
    if rule.mode is Mode.SHADOW:
        return Standing.SHADOW
    if not in_share(rule.id, known, rule.percent):
        return Standing.OUTSIDE_PERCENT
    return Standing.SNOOZED if rule.id in snoozed else Standing.LIVE
