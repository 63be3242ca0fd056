"""Rules as one generated Python function: the reference that the engine is checked against, and its stand-in.

Called by `ruleset` and `agreement`; `compiler` uses it for what the engine cannot do itself. Each condition is written
out twice, for where it is true and for where it is false, because unknown is neither.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never, cast

from fraud_rules.expressions import (
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
    Or,
    Term,
    TextTest,
    TextTestKind,
    facts_of,
)
from fraud_rules.facts import Value
from fraud_rules.lists import Networks
from fraud_rules.patterns import compile_any, compile_pattern

Evaluate = Callable[[Mapping[str, Value]], list[bool | None]]
Test = Callable[[Mapping[str, Value]], list[bool]]


def compile_conditions(conditions: Sequence[Condition]) -> Evaluate:
    """Generates a function from the known facts of a payment to each condition's truth, None where it is unknown.

    The function expects facts as `admission` leaves them, and then raises nothing.
    """
    writer = _Writer()
    return cast(Evaluate, _compile(writer, [writer.truth(item) for item in conditions]))


def compile_tests(conditions: Sequence[Condition]) -> Test:
    """Generates what `compile_conditions` does, but for whoever asks for nothing but truth: unknown counts as false.

    It takes half the time.
    """
    writer = _Writer()
    return cast(Test, _compile(writer, [writer.holds(item) for item in conditions]))


def _compile(writer: "_Writer", values: Sequence[str]) -> object:
    loads = [f"    {local} = get({name!r})" for name, local in writer.locals.items()]
    looks = [f"    {line}" for line in writer.first_looks()]
    body = ["    get = facts.get", *loads, *looks, f"    return [{', '.join(values)}]"]
    source = "\n".join(["def evaluate(facts):", *body])
    namespace: dict[str, Any] = dict(writer.constants)
    exec(compile(source, "<fraud rules>", "exec"), namespace)
    return namespace["evaluate"]


class _Writer:
    """Writes conditions as Python expressions, and collects the facts and constants they mention."""

    def __init__(self) -> None:
        self.locals: dict[str, str] = {}
        self.constants: dict[str, object] = {}
        self._patterns: dict[FactRef, dict[str, None]] = {}

    def first_looks(self) -> list[str]:
        """Writes what says of each text whether any pattern can be in it, so that most texts are looked at once."""
        lines = []
        for fact, patterns in self._patterns.items():
            local = self._local(fact)
            joined = compile_any(patterns, fact.word) if len(patterns) > 1 else None
            look = f" and {self._constant(joined)}.search({local}) is not None" if joined else ""
            lines.append(f"any_{local} = {local} is not None{look}")
        return lines

    def truth(self, condition: Condition) -> str:
        """Writes an expression that is True, False or None; what a simple condition tests is worked out once."""
        if isinstance(condition, Comparison | Membership | TextTest):
            unknown = dict.fromkeys(f"{self._local(fact)} is None" for fact in facts_of(condition))
            return f"(None if {' or '.join(unknown)} else {self._test(condition, True)})"
        return f"(True if {self._write(condition, True)} else False if {self._write(condition, False)} else None)"

    def holds(self, condition: Condition) -> str:
        """Writes an expression that holds where the condition is true."""
        return self._write(condition, True)

    def _write(self, condition: Condition, wanted: bool) -> str:
        match condition:
            case Not():
                return self._write(condition.operand, not wanted)
            case And() | Or():
                joint = " and " if isinstance(condition, And) is wanted else " or "
                return f"({joint.join(self._write(operand, wanted) for operand in condition.operands)})"
            case Known():
                return f"({self._local(condition.fact)} is {'not ' if wanted else ''}None)"
            case Comparison() | Membership() | TextTest():
                known = dict.fromkeys(f"{self._local(fact)} is not None" for fact in facts_of(condition))
                return f"({' and '.join([*known, self._test(condition, wanted)])})"
            case _:
                assert_never(condition)

    def _test(self, condition: Comparison | Membership | TextTest, wanted: bool) -> str:
        """Writes what holds where the condition has the wanted truth and its facts are known."""
        match condition:
            case Comparison():
                operator = condition.operator if wanted else NEGATED[condition.operator]
                return f"{self._term(condition.left)} {operator} {self._term(condition.right)}"
            case Membership():
                return f"{'' if wanted else 'not '}{self._membership(condition)}"
            case TextTest():
                return f"{'' if wanted else 'not '}{self._text_test(condition)}"
            case _:
                assert_never(condition)

    def _term(self, term: Term) -> str:
        match term:
            case Literal():
                return self._constant(term.value)
            case FactRef():
                return self._local(term)
            case Arithmetic():
                return f"({self._term(term.left)} {term.sign} {self._term(term.right)})"
            case _:
                assert_never(term)

    def _membership(self, condition: Membership) -> str:
        local = self._local(condition.fact)
        test = f"{local} in {self._constant(condition.values)}"
        if condition.listed:
            test = f"{test} or {self._named(condition.listed.name)} is True"
        if condition.networks:
            test = f"{test} or {self._constant(Networks(condition.networks))}.contain({local})"
        return f"({test})"

    def _text_test(self, condition: TextTest) -> str:
        local, argument = self._local(condition.fact), condition.argument
        match condition.kind:
            case TextTestKind.STARTS_WITH | TextTestKind.ENDS_WITH:
                return f"{local}.{condition.kind}({self._constant(argument)})"
            case TextTestKind.CONTAINS:
                return f"({self._constant(argument)} in {local})"
            case TextTestKind.MATCHES:
                pattern = compile_pattern(argument, condition.fact.word)
                self._patterns.setdefault(condition.fact, {})[argument] = None
                return f"(any_{local} and {self._constant(pattern)}.search({local}) is not None)"
            case _:
                assert_never(condition.kind)

    def _local(self, fact: FactRef) -> str:
        return self._named(fact.name)

    def _named(self, name: str) -> str:
        return self.locals.setdefault(name, f"f{len(self.locals)}")

    def _constant(self, value: object) -> str:
        """Binds a constant to a name, so that no text of a rule file is ever part of the generated source."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name
