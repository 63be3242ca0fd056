"""Can simple conditions hold together? Asked by `satisfiability`; only a no is certain.

Each fact keeps what is left of its values; what cannot be split into values (one fact against another, lists that grow
at run time, parts of texts) is compared with what else is asked of the same facts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import permutations

from fraud_rules.expressions import (
    MIRRORED,
    NEGATED,
    Comparison,
    FactRef,
    Known,
    Literal,
    Membership,
    Operator,
    Term,
    TextTest,
    TextTestKind,
    facts_of,
)
from fraud_rules.facts import Kind, Value
from fraud_rules.lists import Networks

Atom = Comparison | Known | Membership | TextTest
Demand = tuple[Atom, bool]

_SIGNS = {
    Operator.EQ: frozenset({0}),
    Operator.NE: frozenset({-1, 1}),
    Operator.LT: frozenset({-1}),
    Operator.LE: frozenset({-1, 0}),
    Operator.GT: frozenset({1}),
    Operator.GE: frozenset({0, 1}),
}


def consistent(demands: Iterable[Demand]) -> bool:
    """Says whether one payment could meet all demands."""
    store = _Store()
    return all(store.add(atom, truth) for atom, truth in dict.fromkeys(demands)) and store.possible()


@dataclass(slots=True)
class _Range:
    """What is left of one fact's values."""

    least: int
    greatest: int
    allowed: set[Value] | None = None
    excluded: set[Value] = field(default_factory=set)
    known: bool = False
    unknown: bool = False

    def keep(self, values: Iterable[Value], truth: bool) -> None:
        """Narrows to the values, or to all but them."""
        if not truth:
            self.excluded.update(values)
        else:
            self.allowed = set(values) if self.allowed is None else self.allowed.intersection(values)

    def values(self) -> set[Value] | None:
        """Returns the values that are left; None where they are too many to name."""
        if self.allowed is not None:
            return {value for value in self.allowed - self.excluded if self._fits(value)}
        if self.greatest - self.least <= len(self.excluded):
            return {value for value in range(self.least, self.greatest + 1) if value not in self.excluded}
        return None

    def _fits(self, value: Value) -> bool:
        return not isinstance(value, int) or isinstance(value, bool) or self.least <= value <= self.greatest


class _Store:
    """Demands as they pile up."""

    def __init__(self) -> None:
        self._seen: dict[Atom, bool] = {}
        self._ranges: dict[str, _Range] = {}
        self._relations: dict[tuple[Term, Term], frozenset[int]] = {}

    def add(self, atom: Atom, truth: bool) -> bool:
        """Takes one more; False where it contradicts another outright."""
        if self._seen.setdefault(atom, truth) is not truth:
            return False
        for fact in facts_of(atom):
            known = truth or not isinstance(atom, Known)
            narrowed = self._range(fact)
            narrowed.known, narrowed.unknown = narrowed.known or known, narrowed.unknown or not known
            if narrowed.known and narrowed.unknown:
                return False
        if isinstance(atom, Membership) and (not truth or not atom.list_name):
            self._range(atom.fact).keep(atom.values, truth)
        return self._compare(atom, truth) if isinstance(atom, Comparison) else True

    def possible(self) -> bool:
        """Whether every fact has a value left."""
        tests = [(atom, truth) for atom, truth in self._seen.items() if isinstance(atom, TextTest)]
        if any(_clash(one, other) for one, other in permutations(tests, 2)):
            return False
        return all(narrowed.unknown or self._some_left(name, narrowed) for name, narrowed in self._ranges.items())

    def _some_left(self, name: str, narrowed: _Range) -> bool:
        values = narrowed.values()
        if values is None:
            return True
        atoms = [
            (atom, truth)
            for atom, truth in self._seen.items()
            if isinstance(atom, Membership | TextTest) and atom.fact.name == name
        ]
        return any(all(_may_hold(atom, truth, value) for atom, truth in atoms) for value in values)

    def _range(self, fact: FactRef) -> _Range:
        found = self._ranges.get(fact.name)
        if found is None:
            allowed: set[Value] | None = {True, False} if fact.kind is Kind.BOOLEAN else None
            least, greatest = fact.word.minimum, fact.word.maximum
            found = self._ranges[fact.name] = _Range(least, greatest, allowed)
        return found

    def _compare(self, atom: Comparison, truth: bool) -> bool:
        operator = atom.operator if truth else NEGATED[atom.operator]
        left, right = atom.left, atom.right
        if isinstance(left, Literal) or (not isinstance(right, Literal) and repr(left) > repr(right)):
            operator, left, right = MIRRORED[operator], right, left
        if isinstance(left, FactRef) and isinstance(right, Literal):
            _narrow(self._range(left), operator, right.value)
            return True
        signs = self._relations.get((left, right), frozenset({-1, 0, 1})) & _SIGNS[operator]
        self._relations[left, right] = signs
        return bool(signs)


def _narrow(narrowed: _Range, operator: Operator, value: Value) -> None:
    if operator in (Operator.EQ, Operator.NE):
        narrowed.keep({value}, operator is Operator.EQ)
    elif operator in (Operator.LT, Operator.LE):
        narrowed.greatest = min(narrowed.greatest, int(value) - (operator is Operator.LT))
    else:
        narrowed.least = max(narrowed.least, int(value) + (operator is Operator.GT))


def _may_hold(atom: Membership | TextTest, truth: bool, value: Value) -> bool:
    """Says whether the condition could have the truth for a value of its fact."""
    if isinstance(atom, TextTest):
        found = _test(atom.kind, atom.argument, str(value))
        return found is None or found is truth
    return truth or not Networks(atom.networks).contain(str(value))


def _test(kind: TextTestKind, part: str, text: str) -> bool | None:
    """Tests a text; None for a pattern, which is not looked into."""
    match kind:
        case TextTestKind.STARTS_WITH:
            return text.startswith(part)
        case TextTestKind.ENDS_WITH:
            return text.endswith(part)
        case TextTestKind.CONTAINS:
            return part in text
        case TextTestKind.MATCHES:
            return None


def _clash(one: tuple[TextTest, bool], other: tuple[TextTest, bool]) -> bool:
    """Says whether a test that holds rules out what is asked of another: what ends with `b.c` ends with `.c`."""
    (first, holds), (second, wanted) = one, other
    if not holds or first.fact != second.fact:
        return False
    same_end = first.kind is second.kind and first.kind in (TextTestKind.STARTS_WITH, TextTestKind.ENDS_WITH)
    if same_end and wanted:
        longer, shorter = sorted((first.argument, second.argument), key=len, reverse=True)
        return _test(first.kind, shorter, longer) is False
    implied = same_end or second.kind is TextTestKind.CONTAINS
    whole = first.kind is not TextTestKind.MATCHES
    return not wanted and implied and whole and _test(second.kind, second.argument, first.argument) is True
