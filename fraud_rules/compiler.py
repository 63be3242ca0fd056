"""Rules as definitions for durable-rules, within the limits in which it answers right. Called by `engine`.

What the engine cannot do, or does wrongly (lists, text tests, fractions of its 64-bit integers, large trees), becomes a
*computed* boolean fact that the evaluator works out beforehand. Definitions are built from typed trees only, because
the engine reads a malformed condition as always true.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, assert_never

from fraud_rules.expressions import (
    MIRRORED,
    NEGATED,
    And,
    Arithmetic,
    Comparison,
    Condition,
    FactRef,
    Known,
    Literal,
    Membership,
    Not,
    Operator,
    Or,
    Term,
    TextTest,
    bounds,
    facts_of,
)

MAX_NODES = 60
"""Conditions in one handle; past 64 that hold at once the engine gives wrong answers."""
MAX_RULE_NODES = 24
"""A larger rule is computed beforehand as one boolean."""
MAX_RULE_JOINS = 14
"""So is one with more `$and` and `$or`: past 15, that around the whole rule included, the engine refuses it."""

WARM_UP = "warm_up"
RESERVED = ("id", "sid", "pid", "$s", WARM_UP)

_INT64 = 2**63 - 1
_OPERATORS: Mapping[Operator, str] = MappingProxyType(
    {
        Operator.EQ: "$eq",
        Operator.NE: "$neq",
        Operator.LT: "$lt",
        Operator.LE: "$lte",
        Operator.GT: "$gt",
        Operator.GE: "$gte",
    }
)
_ARITHMETIC = {"+": "$add", "-": "$sub", "*": "$mul"}

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shard:
    """What one handle evaluates.

    Attributes:
        definition: The ruleset as the engine's JSON; the rule of index 7 is named `r7`.
        facts: The names that may be asserted, computed ones included.
        max_firings: More firings than this for one payment mean that the engine runs wild.
    """

    definition: str
    facts: frozenset[str]
    max_firings: int


@dataclass(frozen=True, slots=True)
class Program:
    """A ruleset for the engine: its shards, and the conditions to be computed beforehand, by the names they get."""

    shards: tuple[Shard, ...]
    computed: Mapping[str, Condition]


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition in the engine's terms, with what it costs.

    Attributes:
        facts: The names it mentions.
        nodes: The most conditions of it that can hold at once.
        paths: How often it can match one payment: each way through an `or` matches by itself.
        joins: How many `$and` and `$or` it has.
    """

    definition: Definition
    facts: frozenset[str]
    nodes: int = 1
    paths: int = 1
    joins: int = 0


def compile_program(conditions: Sequence[Condition]) -> Program:
    """Compiles conditions, in order, into as many shards as the engine's limits ask for.

    Raises:
        ValueError: Two fact names have the same 32-bit hash, by which alone the engine tells facts apart.
    """
    lowering = _Lowering()
    shards: list[Shard] = []
    pending: dict[int, _Part] = {}
    for index, condition in enumerate(conditions):
        part = lowering.rule(condition)
        if pending and sum(other.nodes for other in pending.values()) + part.nodes > MAX_NODES:
            shards.append(_shard(pending))
            pending = {}
        pending[index] = part
    if pending:
        shards.append(_shard(pending))
    used = frozenset[str]().union(*(shard.facts for shard in shards))
    computed = {name: condition for name, condition in lowering.computed.items() if name in used}
    return Program(tuple(shards), MappingProxyType(computed))


def _shard(parts: Mapping[int, _Part]) -> Shard:
    facts = frozenset[str]().union(*(part.facts for part in parts.values()))
    hashes = {name: name_hash(name) for name in (*RESERVED, *facts)}
    if len(set(hashes.values())) < len(hashes):
        raise ValueError("two facts of the ruleset have names that the engine cannot tell apart")
    # The guard keeps a negation from matching anything but a payment; without it the engine loops.
    rules = {WARM_UP: {"$ex": {WARM_UP: 1}}} | {f"r{index}": part.definition for index, part in parts.items()}
    definition = {name: {"all": [{"m": {"$and": [{"$ex": {"pid": 1}}, rule]}}]} for name, rule in rules.items()}
    return Shard(json.dumps(definition), facts, sum(part.paths for part in parts.values()))


def name_hash(name: str) -> int:
    """FNV-1a in 32 bits: the engine's hash of names."""
    value = 0x811C9DC5
    for byte in name.encode("ascii"):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


class _Lowering:
    """Turns typed trees into definitions, and names what has to be computed beforehand."""

    def __init__(self) -> None:
        self.computed: dict[str, Condition] = {}
        self._names: dict[Condition, str] = {}

    def rule(self, condition: Condition) -> _Part:
        """Lowers a rule's whole condition."""
        part = self._lower(condition, True)
        fits = part.nodes <= MAX_RULE_NODES and part.joins <= MAX_RULE_JOINS
        return part if fits else self._compute(condition, True)

    def _lower(self, condition: Condition, wanted: bool) -> _Part:
        """Lowers what holds where the condition has the wanted truth, so that no negation is left."""
        match condition:
            case Not():
                return self._lower(condition.operand, not wanted)
            case And() | Or():
                parts = [self._lower(operand, wanted) for operand in condition.operands]
                return _all(parts) if isinstance(condition, And) is wanted else _any(parts)
            case Known():
                name = condition.fact.name
                return _Part({"$ex" if wanted else "$nex": {name: 1}}, frozenset({name}))
            case Comparison():
                operator = condition.operator if wanted else NEGATED[condition.operator]
                if not isinstance(condition.left, FactRef) and isinstance(condition.right, FactRef):
                    part = _comparison(MIRRORED[operator], condition.right, condition.left)
                else:
                    part = _comparison(operator, condition.left, condition.right)
                return part or self._compute(condition, wanted)
            case Membership() | TextTest():
                return self._compute(condition, wanted)
            case _:
                assert_never(condition)

    def _compute(self, condition: Condition, wanted: bool) -> _Part:
        name = self._names.setdefault(condition, f"computed_{len(self._names)}")
        self.computed[name] = condition
        return _Part({name: wanted}, frozenset({name}))


def _comparison(operator: Operator, left: Term, right: Term) -> _Part | None:
    """Lowers a comparison that the engine can do: a fact on the left, and nothing that leaves 64 bits on the right."""
    if not isinstance(left, FactRef) or not all(_fits(part) for part in _subterms(right)):
        return None
    comparison: Definition = {left.name: _operand(right)}
    leaf = _Part(comparison if operator is Operator.EQ else {_OPERATORS[operator]: comparison}, frozenset({left.name}))
    # The engine compares with uninitialised memory where a fact on the right is missing, so each is asked for first.
    asked = [_Part({"$ex": {name: 1}}, frozenset({name})) for name in dict.fromkeys(f.name for f in facts_of(right))]
    return _all([*asked, leaf]) if asked else leaf


def _subterms(term: Term) -> Iterator[Term]:
    yield term
    if isinstance(term, Arithmetic):
        yield from _subterms(term.left)
        yield from _subterms(term.right)


def _fits(term: Term) -> bool:
    if not isinstance(term, Arithmetic):
        return True
    least, greatest = bounds(term)
    return least >= -_INT64 and greatest <= _INT64


def _operand(term: Term) -> Any:
    match term:
        case Literal():
            return term.value
        case FactRef():
            return {"$m": term.name}
        case Arithmetic():
            return {_ARITHMETIC[term.sign]: {"$l": _operand(term.left), "$r": _operand(term.right)}}
        case _:
            assert_never(term)


def _all(parts: Sequence[_Part]) -> _Part:
    nodes, paths = 0, 1
    for part in parts:
        nodes += paths * part.nodes
        paths *= part.paths
    return _joined("$and", parts, nodes, paths)


def _any(parts: Sequence[_Part]) -> _Part:
    nodes, paths = sum(part.nodes for part in parts), sum(part.paths for part in parts)
    return _joined("$or", parts, nodes, paths)


def _joined(sign: str, parts: Sequence[_Part], nodes: int, paths: int) -> _Part:
    """Joins parts by `$and` or `$or`; what is itself so joined is taken in, which saves joins."""
    operands: list[Definition] = []
    joins = 1
    for part in parts:
        inner = part.definition.get(sign)
        operands.extend([part.definition] if inner is None else inner)
        joins += part.joins - (inner is not None)
    return _Part({sign: operands}, frozenset[str]().union(*(part.facts for part in parts)), nodes, paths, joins)
