"""Can a condition ever be true, and does one follow from another? Asked by `findings` and `analysis`.

Every answer that accuses a rule is certain. What is not looked into (patterns, arithmetic, how counts over different
windows relate, conditions with hundreds of ways to be true) counts as possible.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import assert_never

from fraud_rules.constraints import Atom, Demand, consistent
from fraud_rules.expressions import And, Comparison, Condition, Known, Membership, Not, Or, TextTest, facts_of

MAX_WAYS = 256

Way = tuple[Demand, ...]
"""Simple conditions, each with its truth, that together give a condition the truth that is asked for."""


def satisfiable(condition: Condition) -> bool:
    """Says whether any payment could make the condition true; False is certain."""
    return _some(_few(condition, True, True))


def falsifiable(condition: Condition, *, unknown_counts: bool) -> bool:
    """Says whether any payment could make the condition false; False is certain.

    Args:
        unknown_counts: Whether it is enough that the condition is unknown.
    """
    return _some(_few(condition, False, not unknown_counts))


def possible_ways(condition: Condition, *, truth: bool = True, certain: bool = True) -> Sequence[Way] | None:
    """Returns the ways to a truth that do not contradict themselves; None where there are more than 256 of any.

    Args:
        certain: Whether the condition must have the truth; else it is enough that it has not the other.
    """
    ways = _few(condition, truth, certain)
    return None if ways is None else tuple(way for way in ways if consistent(way))


def excludes(ways: Sequence[Way], others: Sequence[Way]) -> bool:
    """Says whether none of the ways can hold together with any of the others; True is certain."""
    return not any(consistent((*way, *other)) for way in ways for other in others)


def _few(condition: Condition, truth: bool, certain: bool) -> Sequence[Way] | None:
    found = list(islice(_ways(condition, truth, certain), MAX_WAYS + 1))
    return None if len(found) > MAX_WAYS else found


def _some(ways: Sequence[Way] | None) -> bool:
    return ways is None or any(consistent(way) for way in ways)


def _ways(condition: Condition, truth: bool, certain: bool) -> Iterator[Way]:
    match condition:
        case Not():
            yield from _ways(condition.operand, not truth, certain)
        case And() | Or() if isinstance(condition, And) is truth:
            parts = [list(islice(_ways(operand, truth, certain), MAX_WAYS + 1)) for operand in condition.operands]
            yield from (sum(choice, ()) for choice in product(*parts))
        case And() | Or():
            for operand in condition.operands:
                yield from _ways(operand, truth, certain)
        case Comparison() | Known() | Membership() | TextTest():
            yield ((condition, truth),)
            if not certain:
                yield from _unknown(condition)
        case _:
            assert_never(condition)


def _unknown(atom: Atom) -> Iterator[Way]:
    """Yields the ways in which a simple condition is unknown: each of its facts being so."""
    if not isinstance(atom, Known):
        yield from (((Known(fact), False),) for fact in dict.fromkeys(facts_of(atom)))
