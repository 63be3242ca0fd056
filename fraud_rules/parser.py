"""A rule's `when` to a typed tree. Called by `rulefile`; the grammar is that of Python's comparisons, and no more."""

import ast
from collections.abc import Mapping

from fraud_rules.errors import IDENTIFIER, IDENTIFIER_HINT, nearest
from fraud_rules.expressions import (
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
    Term,
    TextTest,
    TextTestKind,
    facts_of,
)
from fraud_rules.facts import VOCABULARY, Fact, Kind, Unit
from fraud_rules.lists import Lists, entries_for
from fraud_rules.patterns import compile_pattern
from fraud_rules.source import Source
from fraud_rules.terms import Number, Side, Terms, kind_of, unit_of

_OPERATORS: Mapping[type[ast.cmpop], Operator] = {
    ast.Eq: Operator.EQ,
    ast.NotEq: Operator.NE,
    ast.Lt: Operator.LT,
    ast.LtE: Operator.LE,
    ast.Gt: Operator.GT,
    ast.GtE: Operator.GE,
}
_METHODS = {"startswith": TextTestKind.STARTS_WITH, "endswith": TextTestKind.ENDS_WITH}


def parse_condition(text: str, lists: Lists, words: Mapping[str, Fact] = VOCABULARY) -> Condition:
    """Parses and types one expression.

    Args:
        words: The facts that it may name.

    Raises:
        ExpressionError: Not in the grammar, an unknown fact or list, or kinds or units that do not fit.
    """
    source = Source(text)
    return _Conditions(source, lists, words).condition(source.tree())


def _text(side: Side) -> bool:
    return isinstance(side, Literal) and isinstance(side.value, str)


class _Conditions:
    """Reads what is true or false; `Terms` reads what is compared."""

    def __init__(self, source: Source, lists: Lists, words: Mapping[str, Fact]) -> None:
        self._source, self._lists, self._terms = source, lists, Terms(source, words)

    def condition(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp():
                joint = And if isinstance(node.op, ast.And) else Or
                return joint(tuple(self.condition(value) for value in node.values))
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.condition(node.operand))
            case ast.Compare():
                return self._chain(node)
            case ast.Call(func=ast.Attribute() | ast.Name(id="known" | "matches")):
                return self._call(node)
        term = self._terms.term(node)
        if isinstance(term, FactRef) and term.kind is Kind.BOOLEAN:
            return Comparison(Operator.EQ, term, Literal(True))
        self._source.fail(node, f"{self._source.written(node)[:80]} is not true or false", "compare it with something")

    def _call(self, node: ast.Call) -> Condition:
        match node.func:
            case ast.Attribute() as method:
                return self._method(node, method)
            case ast.Name(id="matches"):
                return self._matches(node)
            case _:
                return Known(self._terms.fact(self._terms.arguments(node, 1)[0]))

    def _chain(self, node: ast.Compare) -> Condition:
        """`a < b < c` is `a < b and b < c`."""
        sides = [node.left, *node.comparators]
        parts = tuple(
            self._comparison(left, op, right) for left, op, right in zip(sides[:-1], node.ops, sides[1:], strict=True)
        )
        return parts[0] if len(parts) == 1 else And(parts)

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        match op:
            case ast.In():
                return self._membership(left, right)
            case ast.NotIn():
                return Not(self._membership(left, right))
        if type(op) not in _OPERATORS:
            self._source.fail(right, "'is' is not an operator here", "compare with == or !=")
        comparison = _OPERATORS[type(op)]
        sides = self._terms.term(left), self._terms.term(right)
        kind, unit = self._common(left, right, sides)
        if kind is not Kind.INTEGER and comparison not in (Operator.EQ, Operator.NE):
            self._source.fail(right, f"{comparison} compares numbers; this is of type {kind}", "use == or !=")
        first = self._settled(left, sides[0], sides[1], unit)
        return Comparison(comparison, first, self._settled(right, sides[1], sides[0], unit))

    def _common(self, left: ast.expr, right: ast.expr, sides: tuple[Side, Side]) -> tuple[Kind, Unit]:
        """Returns the kind and the unit that both sides share."""
        terms = [side for side in sides if not isinstance(side, Number) and any(True for _ in facts_of(side))]
        if not terms:
            self._source.fail(left, "both sides are constants", "compare a fact with something")
        if unit_of(terms[0]) is Unit.SECONDS and any(_text(side) for side in sides):
            return Kind.INTEGER, Unit.SECONDS
        kinds = [kind_of(side) for side in sides]
        if kinds[0] is not kinds[1]:
            self._source.fail(right, f"{kinds[0]} compared with {kinds[1]}", "both sides must be of one type")
        units = [unit_of(term) for term in terms]
        if units[0] is not units[-1]:
            self._source.fail(right, f"{units[0]} compared with {units[-1]}", "compare facts of one unit")
        return kinds[0], units[0]

    def _settled(self, node: ast.expr, side: Side, other: Side, unit: Unit) -> Term:
        """Gives a constant the unit and the case of the fact that it meets."""
        if isinstance(side, Number) or (unit is Unit.SECONDS and _text(side)):
            return self._terms.number_literal(node, side, unit)
        if isinstance(side, Literal) and isinstance(side.value, str) and isinstance(other, FactRef):
            return self._terms.text_literal(node, side.value, other)
        return side

    def _membership(self, left: ast.expr, right: ast.expr) -> Condition:
        if isinstance(left, ast.Constant) and isinstance(left.value, str):
            return self._fragment_test(TextTestKind.CONTAINS, right, left)
        fact = self._terms.fact(left)
        match right:
            case ast.Call(func=ast.Name(id="list")):
                return self._listed(fact, right)
            case ast.List() | ast.Tuple() | ast.Set() if right.elts:
                return self._one_of(fact, right.elts)
        hint = 'write in ["a", "b"], in list("name"), or "part" in fact'
        self._source.fail(right, "`in` needs what to look in", hint)

    def _one_of(self, fact: FactRef, elements: list[ast.expr]) -> Membership:
        match fact.kind:
            case Kind.TEXT:
                texts = [self._terms.text_literal(element, self._terms.text(element), fact) for element in elements]
                return Membership(fact, frozenset(str(text.value) for text in texts))
            case Kind.INTEGER:
                numbers = [(element, self._terms.term(element)) for element in elements]
                literals = [self._terms.number_literal(element, side, fact.unit) for element, side in numbers]
                return Membership(fact, frozenset(int(literal.value) for literal in literals))
            case Kind.BOOLEAN:
                hint = f"write {fact.name} or not {fact.name}"
                self._source.fail(elements[0], f"{fact.name} is true or false", hint)

    def _listed(self, fact: FactRef, call: ast.Call) -> Membership:
        self._terms.require(call, fact, Kind.TEXT)
        argument = self._terms.arguments(call, 1)[0]
        name = self._terms.text(argument)
        entries = self._lists.get(name)
        if entries is None:
            hint = f"put one value a line into lists/{name[:80]}.txt, or declare `lists: [{name[:80]}]` at the top"
            self._source.fail(argument, f"there is no list {name[:80]!r}", nearest(name, self._lists) or hint)
        if not IDENTIFIER.fullmatch(name):
            self._source.fail(argument, f"the list's name {name[:80]!r} is not a name", IDENTIFIER_HINT)
        try:
            values, networks = entries_for(fact.word, entries)
        except ValueError as error:
            self._source.fail(argument, f"the list {name!r} does not fit {fact.name}: {error}")
        return Membership(fact, values, networks, name)

    def _matches(self, call: ast.Call) -> TextTest:
        first, second = self._terms.arguments(call, 2)
        fact = self._terms.fact(first)
        self._terms.require(first, fact, Kind.TEXT)
        pattern = self._terms.text(second)
        try:
            compile_pattern(pattern, fact.word)
        except ValueError as error:
            hint = "patterns are RE2: no backreferences, no lookaround"
            self._source.fail(second, f"not a pattern: {error}", hint)
        return TextTest(TextTestKind.MATCHES, fact, pattern)

    def _method(self, call: ast.Call, method: ast.Attribute) -> TextTest:
        kind = _METHODS.get(method.attr)
        if kind is None:
            hint = nearest(method.attr, _METHODS) or "there are .startswith and .endswith, and matches(fact, r'…')"
            self._source.fail(method, f"there is no .{method.attr[:80]}", hint)
        return self._fragment_test(kind, method.value, self._terms.arguments(call, 1)[0])

    def _fragment_test(self, kind: TextTestKind, fact_node: ast.expr, text_node: ast.expr) -> TextTest:
        """A test for part of a text: the part is in the fact's case, but need not be one of its values."""
        fact = self._terms.fact(fact_node)
        self._terms.require(fact_node, fact, Kind.TEXT)
        text = self._terms.text(text_node)
        if not text:
            self._source.fail(text_node, "every text holds the empty text", f"ask known({fact.name})")
        return TextTest(kind, fact, fact.word.normalise(text))
