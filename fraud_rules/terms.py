"""What stands on either side of a comparison: facts, constants, arithmetic, and their types. Called by `parser`."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from fraud_rules.errors import nearest
from fraud_rules.expressions import Arithmetic, FactRef, Literal, Term
from fraud_rules.facts import MAX_INTEGER, Fact, Kind, Unit
from fraud_rules.literals import LiteralError, in_unit, number, seconds, text_value
from fraud_rules.metadata import METADATA
from fraud_rules.source import Source
from fraud_rules.velocity import EVER, OVER, PLATFORM, WITHOUT_WINDOW, Function, velocity_fact

FUNCTIONS = (*(str(function) for function in Function), "known", "list", "matches")

_VELOCITY = frozenset(Function)
_SIGNS: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Number:
    """A constant whose unit is not known before it meets a fact."""

    value: Fraction


Side = Term | Number


def kind_of(side: Side) -> Kind:
    """Returns the type that a side has on its own."""
    match side:
        case FactRef():
            return side.kind
        case Literal(value=bool()):
            return Kind.BOOLEAN
        case Literal(value=str()):
            return Kind.TEXT
        case _:
            return Kind.INTEGER


def unit_of(term: Term) -> Unit:
    """Returns the unit of an integer; a factor does not change it. Texts and booleans have none."""
    match term:
        case FactRef():
            return term.unit
        case Literal():
            return Unit.NUMBER
        case Arithmetic(sign="*"):
            left, right = unit_of(term.left), unit_of(term.right)
            return right if left is Unit.NUMBER else left
        case Arithmetic():
            return unit_of(term.right if isinstance(term.left, Literal) else term.left)


class Terms:
    """Reads the terms of one expression. Every method raises `ExpressionError` where the text has no meaning."""

    def __init__(self, source: Source, words: Mapping[str, Fact]) -> None:
        self._source, self._words = source, words

    def term(self, node: ast.expr) -> Side:
        """Reads a fact, a constant, or arithmetic."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name(id="true" | "false"):
                return Literal(node.id == "true")
            case ast.Name() | ast.Call():
                return self.fact(node)
            case ast.UnaryOp(op=ast.USub()):
                return self._arithmetic(node, "*", Number(Fraction(-1)), self._numeric(node.operand))
            case ast.BinOp() if type(node.op) in _SIGNS:
                sides = self._numeric(node.left), self._numeric(node.right)
                return self._arithmetic(node, _SIGNS[type(node.op)], *sides)
            case ast.BinOp():
                hint = "there are + - *; multiply the other side instead of dividing"
                self._source.fail(node, "this operator is not in the language", hint)
        self._source.fail(node, f"{self._source.written(node)[:80]} is not in the language")

    def _constant(self, node: ast.Constant) -> Side:
        match node.value:
            case bool():
                return Literal(node.value)
            case int() | float():
                return self._guarded(node, lambda: Number(number(self._source.written(node))))
            case _:
                return Literal(self.text(node))

    def fact(self, node: ast.expr) -> FactRef:
        """Reads the name of a fact, or a velocity function."""
        match node:
            case ast.Name():
                word = self._words.get(node.id)
                if word is None:
                    self._source.fail(node, f"unknown fact {node.id[:80]!r}", unknown_fact_hint(node.id, self._words))
                return FactRef(word)
            case ast.Call(func=ast.Name(id=name)) if name in _VELOCITY:
                return self._velocity(node, Function(name))
            case ast.Call(func=ast.Name(id=name)):
                hint = nearest(name, FUNCTIONS) or f"there are {', '.join(FUNCTIONS)}"
                self._source.fail(node, f"{name[:80]} is no function that gives a value", hint)
        self._source.fail(node, f"{self._source.written(node)[:80]} is not a fact", "name a fact of the vocabulary")

    def text(self, node: ast.expr) -> str:
        """Reads a text in quotes."""
        written = self._source.written(node)
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            self._source.fail(node, f"a text is needed here, not {written[:80]}", 'put it in quotes: "…"')
        if "\\" in written and not written.lower().startswith("r"):
            hint = 'put an r before the quote: r"…"'
            self._source.fail(node, "a backslash means something else in a plain text", hint)
        return node.value

    def text_literal(self, node: ast.expr, text: str, fact: FactRef) -> Literal:
        """Checks and normalises a text that is compared with the whole of a fact."""
        return self._guarded(node, lambda: Literal(text_value(text, fact.word)))

    def number_literal(self, node: ast.expr, side: Side, unit: Unit) -> Literal:
        """Converts a constant to the unit of the fact that it meets; seconds may be given as a text such as "10m"."""
        if unit is Unit.SECONDS and isinstance(side, Literal) and isinstance(side.value, str):
            text = side.value
            return self._guarded(node, lambda: Literal(seconds(text)))
        if not isinstance(side, Number):
            self._source.fail(node, f"a number is needed here, not {self._source.written(node)[:80]}")
        return self._guarded(node, lambda: Literal(in_unit(side.value, unit)))

    def require(self, node: ast.expr, fact: FactRef, kind: Kind) -> None:
        """Refuses a fact of another kind."""
        if fact.kind is not kind:
            self._source.fail(node, f"{fact.name} is of type {fact.kind}; type {kind} is needed here")

    def arguments(self, call: ast.Call, count: int) -> list[ast.expr]:
        """Returns the call's arguments, of which there must be `count`, without names."""
        if len(call.args) != count or call.keywords:
            self._source.fail(call, f"this takes {count} argument{'s' if count > 1 else ''} without names")
        return call.args

    def _numeric(self, node: ast.expr) -> Side:
        side = self.term(node)
        if kind_of(side) is not Kind.INTEGER:
            self._source.fail(node, f"{self._source.written(node)[:80]} is of type {kind_of(side)}, not a number")
        return side

    def _arithmetic(self, node: ast.expr, sign: str, left: Side, right: Side) -> Side:
        if isinstance(left, Number) and isinstance(right, Number):
            return self._folded(node, sign, left.value, right.value)
        units = [unit_of(side) for side in (left, right) if not isinstance(side, Number)]
        unit = units[0]
        if sign == "*":
            if len(units) > 1 and Unit.NUMBER not in units:
                self._source.fail(node, f"{units[0]} times {units[1]} has no meaning", "multiply by a number")
            unit = Unit.NUMBER
        elif units[0] is not units[-1]:
            self._source.fail(node, f"{units[0]} and {units[1]} do not add up", "add facts of one unit")
        first, second = (
            self.number_literal(node, side, unit) if isinstance(side, Number) else side for side in (left, right)
        )
        return Arithmetic(sign, first, second)

    def _folded(self, node: ast.expr, sign: str, left: Fraction, right: Fraction) -> Number:
        value = {"+": left + right, "-": left - right, "*": left * right}[sign]
        if abs(value) > MAX_INTEGER:
            self._source.fail(node, "the constant is out of range")
        return Number(value)

    def _velocity(self, call: ast.Call, function: Function) -> FactRef:
        usage = _usage(function)
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        optional = {"across"} | ({"within"} if function in WITHOUT_WINDOW else set())
        given = set(named) - optional
        if len(call.args) != 1 or given != {"by", "within"} - optional or len(call.keywords) != len(named):
            self._source.fail(call, f"{function} takes {_arguments(function)}", usage)
        over, by = self.text(call.args[0]), self.text(named["by"])
        within = self.text(named["within"]) if "within" in named else EVER
        across = self.text(named["across"]) if "across" in named else None
        if across is not None:
            usage = f'write count("payments", by="card", within="24h", across="{PLATFORM}")'
        try:
            velocity = velocity_fact(function, over, by, within, across)
        except ValueError as error:
            self._source.fail(call, str(error), usage)
        return FactRef(velocity.fact(), velocity)

    def _guarded(self, node: ast.expr, make: Callable[[], _Result]) -> _Result:
        try:
            return make()
        except LiteralError as error:
            self._source.fail(node, error.message, error.hint)


def unknown_fact_hint(name: str, words: Mapping[str, Fact]) -> str:
    """Says what to write instead of a name that is no fact."""
    if name.startswith(METADATA):
        key = name.removeprefix(METADATA)[:40]
        return nearest(name, words) or f"declare it at the top of the file: `metadata: {{{key}: text}}`"
    return nearest(name, [*words, *FUNCTIONS]) or "the fact reference lists what there is"


def _arguments(function: Function) -> str:
    what = {Function.DISTINCT: "what to tell apart", Function.LAST: "what was said"}.get(function, "what to count")
    return f"{what} and by=" if function in WITHOUT_WINDOW else f"{what}, by= and within="


def _usage(function: Function) -> str:
    within = "" if function in WITHOUT_WINDOW else ', within="1h"'
    by = "card" if function is Function.LAST else "ip"
    return f'write {function}("{OVER[function][0]}", by="{by}"{within})'
