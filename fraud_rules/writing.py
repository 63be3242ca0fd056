"""A typed tree back as the text that an analyst would write. Called by `explain`, `difference` and `tables`."""

from typing import assert_never

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
    Operator,
    Or,
    Term,
    TextTest,
    TextTestKind,
)
from fraud_rules.facts import Unit, Value
from fraud_rules.terms import unit_of
from fraud_rules.velocity import EVER, PLATFORM, WITHOUT_WINDOW, VelocityFact


def written(condition: Condition) -> str:
    """Writes a condition in the language; read again, it is the same condition."""
    match condition:
        case And() | Or():
            joint = " and " if isinstance(condition, And) else " or "
            return joint.join(_inside(operand, (And, Or)) for operand in condition.operands)
        case Not(operand=Membership() as membership):
            return _membership(membership, "not in")
        case Not():
            return f"not {_inside(condition.operand, (And, Or, Not))}"
        case Comparison():
            return _comparison(condition)
        case Known() | Membership() | TextTest():
            return _test(condition)
        case _:
            assert_never(condition)


def _inside(condition: Condition, bracketed: tuple[type[Condition], ...]) -> str:
    inner = written(condition)
    return f"({inner})" if isinstance(condition, bracketed) else inner


def _test(condition: Known | Membership | TextTest) -> str:
    match condition:
        case Known():
            return f"known({_fact(condition.fact)})"
        case Membership():
            return _membership(condition, "in")
        case TextTest():
            return _text_test(condition)
        case _:
            assert_never(condition)


def _comparison(condition: Comparison) -> str:
    if condition.operator is Operator.EQ and condition.right == Literal(True) and isinstance(condition.left, FactRef):
        return _fact(condition.left)
    left, right = condition.left, condition.right
    unit = unit_of(right if isinstance(left, Literal) else left)
    return f"{_term(left, unit)} {condition.operator} {_term(right, unit)}"


def _membership(condition: Membership, operator: str) -> str:
    if condition.list_name:
        return f'{_fact(condition.fact)} {operator} list("{condition.list_name}")'
    values: list[Value] = sorted(condition.values, key=str)
    inside = ", ".join(_value(value, condition.fact.unit) for value in values)
    return f"{_fact(condition.fact)} {operator} [{inside}]"


def _text_test(condition: TextTest) -> str:
    fact, part = _fact(condition.fact), _quoted(condition.argument)
    match condition.kind:
        case TextTestKind.STARTS_WITH | TextTestKind.ENDS_WITH:
            return f"{fact}.{condition.kind}({part})"
        case TextTestKind.CONTAINS:
            return f"{part} in {fact}"
        case TextTestKind.MATCHES:
            return f"matches({fact}, {part})"
        case _:
            assert_never(condition.kind)


def _term(term: Term, unit: Unit) -> str:
    match term:
        case Literal():
            return _value(term.value, unit)
        case FactRef():
            return _fact(term)
        case Arithmetic(sign="*"):
            return f"{_factor(term.left, '+-')} * {_factor(term.right, '+-*')}"
        case Arithmetic():
            unit = unit_of(term)
            right = _term(term.right, unit)
            bracketed = isinstance(term.right, Arithmetic) and term.right.sign != "*"
            return f"{_term(term.left, unit)} {term.sign} {f'({right})' if bracketed else right}"
        case _:
            assert_never(term)


def _factor(term: Term, bracketed: str) -> str:
    """Writes one side of a product; a constant there has no unit."""
    inner = _term(term, Unit.NUMBER)
    return f"({inner})" if isinstance(term, Arithmetic) and term.sign in bracketed else inner


def _fact(fact: FactRef) -> str:
    return _velocity(fact.velocity) if fact.velocity else fact.name


def _velocity(velocity: VelocityFact) -> str:
    window = velocity.name.rpartition("_")[2]
    within = "" if window == EVER and velocity.function in WITHOUT_WINDOW else f', within="{window}"'
    across = f', across="{PLATFORM}"' if velocity.platform else ""
    return f'{velocity.function}("{velocity.over}", by="{velocity.by}"{within}{across})'


def _value(value: Value, unit: Unit) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case _ if unit is Unit.US_CENTS:
            return dollars(value)
        case _:
            return f"{value:_}"


def dollars(cents: int) -> str:
    """Writes US cents in dollars: `12_000`, `99.50`."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:_}{f'.{rest:02}' if rest else ''}"


def _quoted(text: str) -> str:
    quote = "'" if '"' in text and "'" not in text else '"'
    raw = "r" if "\\" in text else ""
    plain = quote not in text and not text.endswith("\\") and text.isprintable()
    return f"{raw}{quote}{text}{quote}" if plain else repr(text)
