"""Do both back ends give the same answers? Asked by `loading` before a ruleset may decide anything."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fraud_rules.engine import Engine
from fraud_rules.evaluator import compile_conditions
from fraud_rules.expressions import (
    And,
    Arithmetic,
    Comparison,
    Condition,
    FactRef,
    Known,
    Literal,
    Membership,
    Not,
    Or,
    Term,
    TextTest,
    facts_of,
)
from fraud_rules.facts import Kind, Value

_UNKNOWN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A payment for which the back ends differ, and the indexes of the conditions that only one found true."""

    facts: Mapping[str, Value]
    engine_only: frozenset[int]
    evaluator_only: frozenset[int]


def first_disagreement(
    engine: Engine, conditions: Sequence[Condition], payments: Sequence[Mapping[str, Value]]
) -> Disagreement | None:
    """Returns the first payment for which the back ends differ, or None.

    Raises:
        EngineError: The engine failed.
    """
    evaluate = compile_conditions(conditions)
    for facts in payments:
        by_engine = frozenset(engine.match(facts))
        by_evaluator = frozenset(index for index, truth in enumerate(evaluate(facts)) if truth)
        if by_engine != by_evaluator:
            return Disagreement(facts, by_engine - by_evaluator, by_evaluator - by_engine)
    return None


def corpus(conditions: Sequence[Condition], count: int) -> list[Mapping[str, Value]]:
    """Makes up payments whose facts lie on and beside what the conditions compare with; always the same ones."""
    values: dict[str, list[Value]] = {}
    for condition in conditions:
        for fact, value in _interesting(condition):
            word = fact.word
            if not isinstance(value, int) or isinstance(value, bool) or word.minimum <= value <= word.maximum:
                values.setdefault(fact.name, []).append(value)
    choices = {name: list(dict.fromkeys(found)) for name, found in values.items()}
    draw = random.Random(count)
    return [
        {name: draw.choice(found) for name, found in choices.items() if draw.random() > _UNKNOWN_SHARE}
        for _ in range(count)
    ]


def _interesting(condition: Condition) -> Iterator[tuple[FactRef, Value]]:
    match condition:
        case And() | Or():
            for operand in condition.operands:
                yield from _interesting(operand)
        case Not():
            yield from _interesting(condition.operand)
        case Known():
            yield from ((condition.fact, value) for value in _default(condition.fact))
        case Comparison():
            near = [value for side in (condition.left, condition.right) for value in _near(side)]
            for fact in facts_of(condition):
                fitting = [value for value in near if _kind(value) is fact.kind]
                yield from ((fact, value) for value in (*fitting, *_default(fact)))
        case Membership():
            addresses = [str(network[0]) for network in condition.networks[:3]]
            some: list[Value] = list(condition.values)
            members = [*sorted(some, key=str)[:3], *addresses, *_default(condition.fact)]
            yield from ((condition.fact, value) for value in members)
            if condition.listed:
                listed = FactRef(condition.listed)
                yield from ((listed, value) for value in _default(listed))
        case TextTest():
            text = condition.argument
            yield from ((condition.fact, value) for value in (text, f"a{text}", f"{text}a", "a", "-"))


def _near(term: Term) -> Iterator[Value]:
    match term:
        case Literal(value=bool() | str()):
            yield term.value
        case Literal(value=int() as value):
            yield from (value - 1, value, value + 1)
        case Arithmetic():
            yield from _near(term.left)
            yield from _near(term.right)


def _default(fact: FactRef) -> tuple[Value, ...]:
    match fact.kind:
        case Kind.BOOLEAN:
            return (True, False)
        case Kind.TEXT:
            return ("a", "b")
        case Kind.INTEGER:
            return (0, 1, 2, 1_000, -1_000)


def _kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.TEXT if isinstance(value, str) else Kind.INTEGER
