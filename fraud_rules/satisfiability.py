"""Can a condition ever be true? Called by `rulefile`, to warn of rules that contradict themselves."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from typing import assert_never

from fraud_rules.expressions import (
    MIRRORED,
    NEGATED,
    And,
    Comparison,
    Condition,
    FactRef,
    Known,
    Literal,
    Membership,
    Not,
    Operator,
    Or,
    TextTest,
)
from fraud_rules.facts import Value
from fraud_rules.terms import word_of

_MAX_WAYS = 256

_Atom = tuple[Comparison | Known | Membership | TextTest, bool]


def satisfiable(condition: Condition) -> bool:
    """Says whether any payment could make the condition true.

    False is certain. True also stands for what is not looked into: text tests, arithmetic, one fact against another,
    and conditions with more than 256 ways to be true.
    """
    ways = list(islice(_ways(condition, True), _MAX_WAYS + 1))
    return len(ways) > _MAX_WAYS or any(_consistent(way) for way in ways)


def _ways(condition: Condition, wanted: bool) -> Iterator[tuple[_Atom, ...]]:
    """Yields each set of simple conditions that together give the wanted truth."""
    match condition:
        case Not():
            yield from _ways(condition.operand, not wanted)
        case And() | Or() if isinstance(condition, And) is wanted:
            parts = [list(islice(_ways(operand, wanted), _MAX_WAYS + 1)) for operand in condition.operands]
            yield from (sum(choice, ()) for choice in product(*parts))
        case And() | Or():
            for operand in condition.operands:
                yield from _ways(operand, wanted)
        case Comparison() | Known() | Membership() | TextTest():
            yield ((condition, wanted),)
        case _:
            assert_never(condition)


@dataclass(slots=True)
class _Range:
    """What is left of one fact's values."""

    least: int
    greatest: int
    allowed: set[Value] | None = None
    excluded: set[Value] = field(default_factory=set)
    known: bool = False
    unknown: bool = False

    def empty(self) -> bool:
        """Whether no value, and not being unknown either, is left."""
        if self.unknown:
            return self.known
        if self.allowed is None:
            return self.least > self.greatest
        return not any(self._fits(value) for value in self.allowed - self.excluded)

    def _fits(self, value: Value) -> bool:
        return not isinstance(value, int) or isinstance(value, bool) or self.least <= value <= self.greatest


def _consistent(way: tuple[_Atom, ...]) -> bool:
    ranges: dict[str, _Range] = {}
    for atom, wanted in way:
        for fact in _mentioned(atom):
            word = word_of(fact)
            _narrow(ranges.setdefault(fact.name, _Range(word.minimum, word.maximum)), atom, wanted)
    return not any(narrowed.empty() for narrowed in ranges.values())


def _mentioned(atom: Comparison | Known | Membership | TextTest) -> list[FactRef]:
    if isinstance(atom, Comparison):
        return [side for side in (atom.left, atom.right) if isinstance(side, FactRef)]
    return [atom.fact]


def _narrow(narrowed: _Range, atom: Comparison | Known | Membership | TextTest, wanted: bool) -> None:
    if isinstance(atom, Known) and not wanted:
        narrowed.unknown = True
        return
    narrowed.known = True
    if isinstance(atom, Membership) and not atom.networks:
        _keep(narrowed, set(atom.values), wanted)
    elif isinstance(atom, Comparison):
        _compare(narrowed, atom, wanted)


def _compare(narrowed: _Range, atom: Comparison, wanted: bool) -> None:
    operator = atom.operator if wanted else NEGATED[atom.operator]
    literal = atom.right
    if isinstance(atom.left, Literal):
        operator, literal = MIRRORED[operator], atom.left
    if not isinstance(literal, Literal):
        return
    value = literal.value
    match operator:
        case Operator.EQ | Operator.NE:
            _keep(narrowed, {value}, operator is Operator.EQ)
        case Operator.LT | Operator.LE:
            narrowed.greatest = min(narrowed.greatest, int(value) - (operator is Operator.LT))
        case Operator.GT | Operator.GE:
            narrowed.least = max(narrowed.least, int(value) + (operator is Operator.GT))
        case _:
            assert_never(operator)


def _keep(narrowed: _Range, values: set[Value], wanted: bool) -> None:
    if wanted:
        narrowed.allowed = values if narrowed.allowed is None else narrowed.allowed & values
    else:
        narrowed.excluded |= values
