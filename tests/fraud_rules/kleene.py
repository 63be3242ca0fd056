"""Three-valued logic by the book, as a third opinion on what a condition means."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import assert_never

from fraud_rules.expressions import (
    ARITHMETIC,
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
    TextTestKind,
)
from fraud_rules.facts import Value
from fraud_rules.lists import Network
from fraud_rules.patterns import compile_pattern

_ORDER = {Operator.LT: (True, False, False), Operator.GT: (False, False, True), Operator.EQ: (False, True, False)}
_ORDER |= {Operator.LE: (True, True, False), Operator.GE: (False, True, True), Operator.NE: (True, False, True)}


def truth(condition: Condition, facts: Mapping[str, Value]) -> bool | None:
    """Walks the tree; None is unknown."""
    match condition:
        case Not():
            operand = truth(condition.operand, facts)
            return None if operand is None else not operand
        case And() | Or():
            truths = [truth(operand, facts) for operand in condition.operands]
            settling = isinstance(condition, Or)
            return settling if settling in truths else None if None in truths else not settling
        case Known():
            return condition.fact.name in facts
        case Comparison():
            return _compare(condition, facts)
        case Membership() | TextTest():
            found = facts.get(condition.fact.name)
            return None if found is None else _holds(condition, found) or _listed(condition, facts)
        case _:
            assert_never(condition)


def _compare(condition: Comparison, facts: Mapping[str, Value]) -> bool | None:
    left, right = value(condition.left, facts), value(condition.right, facts)
    if left is None or right is None:
        return None
    place = 1 if left == right else 0 if left < right else 2  # type: ignore[operator]
    return _ORDER[condition.operator][place]


def _holds(condition: Membership | TextTest, found: Value) -> bool:
    if isinstance(condition, Membership):
        return found in condition.values or any(_inside(str(found), network) for network in condition.networks)
    return _test(condition, str(found))


def _listed(condition: Membership | TextTest, facts: Mapping[str, Value]) -> bool:
    listed = condition.listed if isinstance(condition, Membership) else None
    return listed is not None and facts.get(listed.name) is True


def _inside(address: str, network: Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:
        return False


def value(term: Term, facts: Mapping[str, Value]) -> Value | None:
    """The term's value; None where a fact in it is unknown."""
    match term:
        case Literal():
            return term.value
        case FactRef():
            return facts.get(term.name)
        case Arithmetic():
            left, right = value(term.left, facts), value(term.right, facts)
            return None if left is None or right is None else ARITHMETIC[term.sign](int(left), int(right))
        case _:
            assert_never(term)


def _test(condition: TextTest, text: str) -> bool:
    match condition.kind:
        case TextTestKind.STARTS_WITH:
            return text[: len(condition.argument)] == condition.argument
        case TextTestKind.ENDS_WITH:
            return text[-len(condition.argument) :] == condition.argument
        case TextTestKind.CONTAINS:
            return text.find(condition.argument) >= 0
        case TextTestKind.MATCHES:
            return compile_pattern(condition.argument, condition.fact.word).search(text) is not None
        case _:
            assert_never(condition.kind)
