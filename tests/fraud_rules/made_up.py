"""Makes up conditions and payments out of a source of randomness: Hypothesis in the suite, a seed in long fuzzing.

Conditions are written as text over the whole vocabulary and every velocity function, so that the parser is on the road,
and what disagrees can be pasted into a rule file.
"""

from collections.abc import Mapping, Sequence
from random import Random

from fraud_rules.agreement import corpus
from fraud_rules.expressions import Condition, facts_of
from fraud_rules.facts import MAX_INTEGER, VOCABULARY, Fact, Kind, Unit, Value
from fraud_rules.lists import Lists
from fraud_rules.metadata import MetadataType, metadata_word
from fraud_rules.rules import words_of
from fraud_rules.velocity import (
    BY,
    OVER,
    PLATFORM,
    PLATFORM_BY,
    PLATFORM_DISTINCT,
    PLATFORM_FUNCTIONS,
    WITHOUT_WINDOW,
    Function,
    velocity_fact,
)

LISTS: Lists = {
    "networks": ("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::ffff:192.0.2.0/120"),
    "words": ("a", "US", "ß", "\u0130stanbul", "\U0001f4b3", "a b", "4000"),
    "empty": (),
}
WINDOWS = ("1m", "90m", "1h", "24h", "7d", "90d", "ever")
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
ODD_TEXTS = (
    "a", "b", "ab", "A", "US", "us", "de", "4", '"', "'", "\\", "a\\", '\\"', "\0", "\x1f", "\x7f", " ", "\t", "\n",
    "é", "e\u0301", "ß", "SS", "\u0149", "\u0130", "\u0131", "\u017f", "\u212a", "\ufb00", "\u200b", "\u202e", "\u2028",
    "\ufeff", "\ufffd", "\ufffe", "\ud800", "\udfff", "\U0001f4b3", "\U0010ffff", "null", "true", "1e5", "NaN", "{}",
    '{"a": 1}', "$m", "r0", "10.1.2.3", "192.0.2.1", "192.0.2.2", "2001:db8::1", "::ffff:192.0.2.1", "1.2.3.4/8",
    "x" * 1_023, "x" * 1_024, "x" * 1_025, "é" * 1_024, "ß" * 1_024, "\0" * 1_024, "\U0001f4b3" * 1_030, "x" * 65_535,
    "x" * 65_536, "x" * 200_000,
)  # fmt: skip
"""Some of them are as long as the engine's limits, change their length with their case, or mean something to JSON."""
WRITABLE = (
    "a", "b", "ab", "A", "us", "é", "ß", "\u0130", "\u0149", "\u212a", "\u200b", "\U0001f4b3", "4000", "10.1.2.3",
    "a b", "$m", "'",
)  # fmt: skip
INTEGERS = (
    0, 1, 2, 3, 5, 7, 10, 22, 23, 24, 59, 60, 99, 100, 255, 256, 999, 1_000, 65_535, 65_536, 10**6, 2**31 - 1, 2**31,
    2**32 - 1, 2**32, 2**52, 2**53 - 3, 2**53 - 2, MAX_INTEGER,
)  # fmt: skip
PATTERNS = ("a", "^a", "b$", r"^\d+$", "a|é", "(a+)+$", "ß", "[^a]", ".", r"\x00", "(?i)k", r"\bab\b", "^$", "x{1000}")
JUNK: Mapping[str, Value] = {
    "id": "other", "sid": "other", "pid": "x", "$s": 1, "warm_up": 1, "$m": "amount", "r0": 1, "computed_0": True,
    "costarring": 1, "liquid": 2, "metadata_a": "x" * 70_000, "": "x", "amount ": 5, "Amount": 5, "a.b": 1, "\0": 1,
}  # fmt: skip
"""What a caller may add: names that mean something to the engine, or collide in its 32-bit hash of names."""

METADATA: Mapping[str, Fact] = {
    "gift": metadata_word("gift", MetadataType.BOOLEAN),
    "seats": metadata_word("seats", MetadataType.INTEGER),
    "Order_Type": metadata_word("Order_Type", MetadataType.TEXT),
}
"""What the made-up rule files declare, as files do."""
WORDS: Mapping[str, Fact] = {**VOCABULARY, **{word.name: word for word in METADATA.values()}}

_BY_KIND = {kind: tuple(word for word in WORDS.values() if word.kind is kind) for kind in Kind}
_UNITS = tuple(unit for unit in Unit if unit is not Unit.NONE)
_FUNCTIONS: Mapping[Unit, tuple[Function, ...]] = {
    Unit.NUMBER: (Function.COUNT, Function.DISTINCT),
    Unit.US_CENTS: (Function.SUM, Function.AVERAGE),
    Unit.SECONDS: (Function.SECONDS_SINCE_LAST, Function.SECONDS_SINCE_FIRST),
}
_Written = tuple[str, Fact]


def conditions_as_text(draw: Random, most: int) -> list[str]:
    """Writes one to `most` conditions over some twenty facts; small sets more often than large ones."""
    writer = _Writer(draw)
    return [writer.condition(draw.choice((0, 1, 1, 2, 2, 3))) for _ in range(max(1, round(most ** draw.random())))]


def payments(draw: Random, conditions: Sequence[Condition], count: int) -> list[dict[str, Value]]:
    """Makes up payments as callers could send them: on the rules' boundaries, then spoilt by what is odd or absent."""
    words = words_of(conditions, METADATA)
    names = sorted({fact.name for condition in conditions for fact in facts_of(condition)} | set(words) - set(WORDS))
    made: list[dict[str, Value]] = []
    for boundary in corpus(conditions, count):
        payment = dict(boundary)
        for name in draw.sample(names, min(len(names), draw.randrange(4))):
            payment[name] = _odd_value(draw, words[name])
        for name in draw.sample(names, min(len(names), draw.randrange(3))):
            payment.pop(name, None)
        if draw.random() < 0.05:
            payment |= JUNK
        made.append(payment)
    return made


def _odd_value(draw: Random, word: Fact) -> Value:
    match word.kind:
        case Kind.BOOLEAN:
            return draw.random() < 0.5
        case Kind.TEXT:
            return draw.choice(word.values if word.values and draw.random() < 0.5 else ODD_TEXTS)
        case Kind.INTEGER:
            return min(max(draw.choice(INTEGERS), word.minimum), word.maximum)


class _Writer:
    """Writes conditions over the facts that it has drawn, so that they meet in more than one condition."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._texts = [self._drawn(Kind.TEXT) for _ in range(5)]
        self._booleans = [self._drawn(Kind.BOOLEAN) for _ in range(3)]
        self._integers = {unit: [self._drawn_integer(unit) for _ in range(3)] for unit in _UNITS}

    def condition(self, depth: int) -> str:
        """Writes one, nested so deep."""
        if depth == 0:
            return self._draw.choice((self._number_test, self._number_test, self._text_test, self._other_test))()
        kind = self._draw.randrange(3)
        if kind == 0:
            return f"not ({self.condition(depth - 1)})"
        joint = " and " if kind == 1 else " or "
        return joint.join(f"({self.condition(depth - 1)})" for _ in range(self._draw.choice((2, 2, 3))))

    def _other_test(self) -> str:
        one, other = self._boolean(), self._boolean()
        any_fact = self._draw.choice((self._text()[0], one, self._integer(self._draw.choice(_UNITS))))
        tests = (one, f"not {one}", f"{one} == {other}", f"{one} != {other}", f"{one} == false", f"true != {one}")
        return self._draw.choice((*tests, f"known({any_fact})", f"not known({any_fact})"))

    def _number_test(self) -> str:
        draw, unit = self._draw, self._draw.choice(_UNITS)
        left, right = self._term(unit), self._term(unit)
        match draw.randrange(6):
            case 0:
                values = ", ".join(self._number(unit) for _ in range(draw.choice((1, 2, 5))))
                return f"{self._integer(unit)}{draw.choice((' not in ', ' in '))}[{values}]"
            case 1:
                return f"{self._number(unit)} {draw.choice(OPERATORS)} {left} {draw.choice(OPERATORS)} {right}"
            case 2:
                return f"{left} {draw.choice(OPERATORS)} {right}"
            case 3:
                literal = self._duration() if unit is Unit.SECONDS else self._number(unit)
                return f"{literal} {draw.choice(OPERATORS)} {self._integer(unit)}"
            case _:
                return f"{self._integer(unit)} {draw.choice(OPERATORS)} {self._number(unit)}"

    def _term(self, unit: Unit) -> str:
        """Writes an integer of the unit that holds at least one fact."""
        draw, one = self._draw, self._integer(unit)
        match draw.randrange(6):
            case 0:
                return f"{draw.choice((0, 1, 2, 3, 1_000, -1, -7, 10**9))} * {one}"
            case 1:
                return f"{one} {draw.choice('+-')} {self._integer(unit)}"
            case 2:
                return f"{one} {draw.choice('+-')} {self._number(unit)}"
            case 3:
                return f"(2 * {one} - {self._integer(unit)}) * {self._integer(Unit.NUMBER)}"
            case _:
                return one

    def _number(self, unit: Unit) -> str:
        value = self._draw.choice(INTEGERS) if self._draw.random() < 0.9 else -self._draw.choice(INTEGERS)
        if unit is Unit.US_CENTS:
            sign, cents = "-" if value < 0 else "", abs(value)
            return f"{sign}{cents // 100}.{cents % 100:02}"
        return str(value)

    def _duration(self) -> str:
        return f'"{self._draw.choice((0, 1, 10, 59, 9_999_999))}{self._draw.choice("smhd")}"'

    def _text_test(self) -> str:
        draw, (fact, word) = self._draw, self._text()
        is_in, equals = draw.choice((" not in ", " in ")), draw.choice((" == ", " != "))
        part, whole = _quoted(draw.choice(WRITABLE)), _quoted(draw.choice(word.values or WRITABLE))
        more = ", ".join(_quoted(draw.choice(word.values or WRITABLE)) for _ in range(draw.choice((1, 2, 4))))
        listed = f'ip{is_in}list("networks")' if word.values else f'{fact}{is_in}list("words")'
        tests = (
            f"{fact}{draw.choice(('.startswith', '.endswith'))}({part})",
            f"{part} in {fact}",
            f'matches({fact}, r"{draw.choice(PATTERNS)}")',
            f"{fact}{equals}{self._text()[0]}",
            draw.choice((listed, f'ip{is_in}list("networks")', f'email{is_in}list("empty")')),
            f"{fact}{is_in}[{more}]",
            f"{fact}{equals}{whole}",
        )
        return draw.choice(tests)

    def _text(self) -> _Written:
        return self._draw.choice(self._texts)

    def _boolean(self) -> str:
        return self._draw.choice(self._booleans)[0]

    def _integer(self, unit: Unit) -> str:
        return self._draw.choice(self._integers[unit])[0]

    def _drawn_integer(self, unit: Unit) -> _Written:
        plain = [word for word in _BY_KIND[Kind.INTEGER] if word.unit is unit]
        functions = _FUNCTIONS.get(unit, ())
        if functions and (not plain or self._draw.random() < 0.6):
            return self._velocity(self._draw.choice(functions))
        word = self._draw.choice(plain)
        return word.name, word

    def _drawn(self, kind: Kind) -> _Written:
        if self._draw.random() < 0.3:
            return self._velocity(Function.LAST if kind is Kind.TEXT else Function.FIRST_SEEN)
        word = self._draw.choice(_BY_KIND[kind])
        return word.name, word

    def _velocity(self, function: Function) -> _Written:
        if function in PLATFORM_FUNCTIONS and self._draw.random() < 0.25:
            return self._platform(function)
        draw, by = self._draw, self._draw.choice(BY)
        over = draw.choice([one for one in OVER[function] if one != by or function is not Function.DISTINCT])
        within = "ever" if function in WITHOUT_WINDOW and draw.random() < 0.5 else draw.choice(WINDOWS)
        window = "" if within == "ever" and function in WITHOUT_WINDOW else f', within="{within}"'
        return f'{function}("{over}", by="{by}"{window})', velocity_fact(function, over, by, within).fact()

    def _platform(self, function: Function) -> _Written:
        draw, by = self._draw, self._draw.choice(PLATFORM_BY)
        overs = PLATFORM_DISTINCT if function is Function.DISTINCT else ("payments",)
        over = draw.choice([one for one in overs if one != by])
        within = draw.choice(("1m", "24h", "30d"))
        text = f'{function}("{over}", by="{by}", within="{within}", across="{PLATFORM}")'
        return text, velocity_fact(function, over, by, within, PLATFORM).fact()


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text else f"'{text}'"
