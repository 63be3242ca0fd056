"""Constants as rules and tests write them, turned into values of facts. Called by `terms` and `fields`."""

import re
from fractions import Fraction

from fraud_rules.errors import nearest
from fraud_rules.facts import MAX_INTEGER, MAX_TEXT, Fact, Kind, Unit, Value

_NUMBER = re.compile(r"-?[0-9](_?[0-9]){0,20}(\.[0-9](_?[0-9]){0,10})?")

_DURATION = re.compile(r"(0|[1-9][0-9]{0,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class LiteralError(ValueError):
    """The constant cannot be a value of the fact; the first argument says why, the second what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint


def number(text: str) -> Fraction:
    """Reads a number as written in a rule (`10_000`, `99.50`), exactly.

    Raises:
        LiteralError: Not a decimal number, or larger than any fact could be.
    """
    if not _NUMBER.fullmatch(text):
        raise LiteralError(f"{text[:40]!r} is not a decimal number", "write it like 10_000 or 99.50")
    value = Fraction(text.replace("_", ""))
    if abs(value) > MAX_INTEGER:
        raise LiteralError(f"{text[:40]} is out of range", f"the largest number is {MAX_INTEGER:,}")
    return value


def seconds(text: str) -> int:
    """Reads a length of time: `45s`, `10m`, `24h`, `90d`.

    Raises:
        LiteralError: Something else.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise LiteralError(f"{text[:40]!r} is no length of time", 'write it like "45s", "10m", "24h" or "90d"')
    return int(match[1]) * _SECONDS[match[2]]


def in_unit(value: Fraction, unit: Unit) -> int:
    """Converts a number as written to the unit that facts have: dollars become cents, all else must be whole.

    Raises:
        LiteralError: A fraction of a cent, or of a unit that has no fractions, or out of range.
    """
    scaled = value * 100 if unit is Unit.US_CENTS else value
    if scaled.denominator != 1:
        if unit is Unit.US_CENTS:
            raise LiteralError("a fraction of a cent", "dollars have at most two decimals")
        raise LiteralError(f"a fraction; in {unit} there are none", "write a whole number")
    if abs(scaled) > MAX_INTEGER:
        raise LiteralError("the number is out of range", f"in {unit} the largest is {MAX_INTEGER:,}")
    return scaled.numerator


def text_value(text: str, fact: Fact) -> str:
    """Normalises a text constant like the fact that it is compared with.

    Raises:
        LiteralError: Empty, too long, or not one of the fact's values.
    """
    if not text:
        raise LiteralError("an empty text is unknown, so nothing equals it", f"ask known({fact.name})")
    if len(text) > MAX_TEXT:
        raise LiteralError(f"the text has {len(text):,} characters; facts are cut at {MAX_TEXT:,}")
    value = fact.normalise(text)
    if fact.values and value not in fact.values:
        hint = nearest(value, fact.values) or f"it is one of {', '.join(fact.values)}"
        raise LiteralError(f"{fact.name} is never {text[:80]!r}", hint)
    return value


def value_of(text: str, fact: Fact) -> Value:
    """Reads a test's value for a fact, which is a bare text in the file: `12_000`, `true`, `NO`, `012345`, `10m`.

    Raises:
        LiteralError: The text is no value of the fact's type or is out of its range.
    """
    match fact.kind:
        case Kind.TEXT:
            return text_value(text, fact)
        case Kind.BOOLEAN:
            if text not in ("true", "false"):
                raise LiteralError(f"{fact.name} is true or false, not {text[:40]!r}")
            return text == "true"
        case Kind.INTEGER:
            timed = fact.unit is Unit.SECONDS and text[-1:] in _SECONDS
            value = seconds(text) if timed else in_unit(number(text), fact.unit)
            if not fact.minimum <= value <= fact.maximum:
                raise LiteralError(f"{fact.name} is never {text[:40]}", f"it is {fact.minimum:,} to {fact.maximum:,}")
            return value
