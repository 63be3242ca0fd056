"""The typed tree that a `when` is parsed into; both back ends start from it.

Truth is three-valued: a condition over an unknown fact is unknown, and so is its negation. `and`, `or` and `not`
follow Kleene, so `a or b` is true as soon as one side is, whatever the other. A rule fires where its condition is true.
"""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Final, assert_never

from fraud_rules.facts import MAX_INTEGER, Fact, Kind, Unit, Value
from fraud_rules.velocity import VelocityFact

LISTED: Final = "listed_"


def listed_word(list_name: str, fact: str) -> Fact:
    """Returns the word for: a run-time entry of the list holds the value of the fact."""
    return Fact(f"{LISTED}{list_name}_{fact}", Kind.BOOLEAN, f"`{fact}` was on the list `{list_name}` at run time.")


class Operator(StrEnum):
    """A comparison as rules write it."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


NEGATED: Mapping[Operator, Operator] = MappingProxyType(
    {
        Operator.EQ: Operator.NE,
        Operator.NE: Operator.EQ,
        Operator.LT: Operator.GE,
        Operator.GE: Operator.LT,
        Operator.GT: Operator.LE,
        Operator.LE: Operator.GT,
    }
)
MIRRORED: Mapping[Operator, Operator] = MappingProxyType(
    {
        Operator.EQ: Operator.EQ,
        Operator.NE: Operator.NE,
        Operator.LT: Operator.GT,
        Operator.GT: Operator.LT,
        Operator.LE: Operator.GE,
        Operator.GE: Operator.LE,
    }
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, money already in the unit of the fact that it meets."""

    value: Value


@dataclass(frozen=True, slots=True)
class FactRef:
    """A fact by its word; `velocity` is set where the fact is a window over the past."""

    word: Fact
    velocity: VelocityFact | None = None

    @property
    def name(self) -> str:
        """The key under which the value is found."""
        return self.word.name

    @property
    def kind(self) -> Kind:
        """The value's type."""
        return self.word.kind

    @property
    def unit(self) -> Unit:
        """What an integer counts."""
        return self.word.unit


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """An integer of two integers; `sign` is one of `+ - *`."""

    sign: str
    left: "Term"
    right: "Term"


Term = Literal | FactRef | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two terms of one kind; texts and booleans only with EQ and NE. At least one side holds a fact."""

    operator: Operator
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Known:
    """True where the fact is known, false where not; never unknown itself."""

    fact: FactRef


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the fact's value is one of `values` or lies in one of `networks`, or is on the list at run time.

    Attributes:
        list_name: The list that gave values and networks; empty where the rule itself did.
    """

    fact: FactRef
    values: frozenset[str] | frozenset[int]
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    list_name: str = ""

    @property
    def listed(self) -> Fact | None:
        """The boolean that says whether a run-time entry holds the value; None where there is no list."""
        return listed_word(self.list_name, self.fact.name) if self.list_name else None


class TextTestKind(StrEnum):
    """How a text is tested."""

    STARTS_WITH = "startswith"
    ENDS_WITH = "endswith"
    CONTAINS = "contains"
    MATCHES = "matches"


@dataclass(frozen=True, slots=True)
class TextTest:
    """A test of one text fact; for MATCHES `argument` is an RE2 pattern, found anywhere in the text."""

    kind: TextTestKind
    fact: FactRef
    argument: str


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; unknown stays unknown."""

    operand: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """True where all are."""

    operands: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True where any is."""

    operands: tuple["Condition", ...]


Condition = Comparison | Known | Membership | TextTest | Not | And | Or


def facts_of(part: Condition | Term) -> Iterator[FactRef]:
    """Yields every mention of a fact, from left to right, repeats included."""
    match part:
        case FactRef():
            yield part
        case Literal():
            return
        case Comparison() | Arithmetic():
            yield from facts_of(part.left)
            yield from facts_of(part.right)
        case Known() | Membership() | TextTest():
            yield part.fact
        case Not():
            yield from facts_of(part.operand)
        case And() | Or():
            for operand in part.operands:
                yield from facts_of(operand)
        case _:
            assert_never(part)


def texts_of(condition: Condition) -> Iterator[tuple[FactRef, Collection[str | int], str]]:
    """Yields what the whole of a fact is compared with, and the list that holds it or nothing."""
    match condition:
        case And() | Or():
            for operand in condition.operands:
                yield from texts_of(operand)
        case Not():
            yield from texts_of(condition.operand)
        case Membership():
            yield condition.fact, condition.values, condition.list_name
        case Comparison(left=FactRef() as fact, right=Literal(value=str() as text)):
            yield fact, (text,), ""
        case Comparison(left=Literal(value=str() as text), right=FactRef() as fact):
            yield fact, (text,), ""


def memberships_of(condition: Condition) -> Iterator[Membership]:
    """Yields every mention of a list by its name, repeats included."""
    match condition:
        case And() | Or():
            for operand in condition.operands:
                yield from memberships_of(operand)
        case Not():
            yield from memberships_of(condition.operand)
        case Membership() if condition.list_name:
            yield condition


def bounds(term: Term) -> tuple[int, int]:
    """Returns the least and greatest value an integer term can take, given the limits of the vocabulary."""
    match term:
        case Literal():
            return int(term.value), int(term.value)
        case FactRef():
            return -MAX_INTEGER, MAX_INTEGER
        case Arithmetic():
            apply = ARITHMETIC[term.sign]
            corners = [apply(a, b) for a in bounds(term.left) for b in bounds(term.right)]
            return min(corners), max(corners)
        case _:
            assert_never(term)


ARITHMETIC: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {"+": operator.add, "-": operator.sub, "*": operator.mul}
)
