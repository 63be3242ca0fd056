"""Makes hostile rule, list and rates files out of real ones, by any source of randomness. Used by `fuzz_files`."""

import re
from collections.abc import Callable, Sequence
from random import Random

from fraud_rules.facts import VOCABULARY
from fraud_rules.sources import RATES, Sources
from fraud_rules.velocity import BY, OVER, Function

_PACKAGE = RATES.parent
RULES = [path.read_bytes() for path in sorted((*_PACKAGE.glob("rules/*.yaml"), *_PACKAGE.glob("cookbook/*.yaml")))]
EXCHANGE = RATES.read_bytes()
LISTS = {
    path.stem: path.read_bytes()
    for path in sorted((*_PACKAGE.glob("lists/*.txt"), *_PACKAGE.glob("cookbook/lists/*.txt")))
}
LISTS |= {"networks": b"10.0.0.0/8\n192.0.2.1\n2001:db8::/32\n", "words": "a\nUS\n# no\nx  # yes\nß\n".encode()}

_ODD = [
    "\0",
    "\r",
    "\r\n",
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\u200b",
    "\u202e",
    "é",
    "e\u0301",
    "\U0001f4b3",
    "\t",
    "\x0b",
    "\x0c",
    "\x1b",
    "\x7f",
    "\ufffe",
    "ß",
    "\u0130",
]
_NUMBERS = [
    "0",
    "-1",
    "9" * 30,
    "9" * 5_000,
    "1e999",
    "-0",
    "0x10",
    "0o7",
    "1_0",
    "1__0",
    ".5",
    "5.",
    "1.0000000000001",
    "9007199254740992",
    "inf",
    "nan",
    "٣",
    "१०",
    "1,000",
]
_SCALARS = [
    "",
    "~",
    "null",
    "NO",
    "yes",
    "true",
    "True",
    "[]",
    "{}",
    "[[]]",
    "{a: {b: c}}",
    "*a",
    "&a b",
    "!!int 5",
    "!<x> y",
    "|",
    ">",
    "'",
    '"',
    '"\\x00"',
    '"\\ud800"',
    "? a",
    "- - -",
    "---",
    "...",
    "%YAML 9.9",
    "@a",
    "`b`",
    "012345",
    "<<: {}",
]
_SYNTAX = [
    "and",
    "or",
    "not",
    "in",
    "not in",
    "is",
    "if",
    "else",
    "for",
    "lambda",
    "await",
    "yield",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "=",
    ":=",
    "+",
    "-",
    "*",
    "/",
    "//",
    "**",
    "%",
    "@",
    "~",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    ";",
    "#",
    "\\",
    "\n",
    "\r",
    "\f",
    "...",
    "->",
    "!",
]
_LITERALS = [
    "0",
    "1",
    "5.50",
    "10_000",
    "1e5",
    "1j",
    "True",
    "None",
    "true",
    "false",
    '""',
    '"a"',
    "'US'",
    'r"a"',
    'b"a"',
    'f"{x}"',
    '"""a\nb"""',
    '"10m"',
    '"(a+)+$"',
    'r"(?=a)"',
    '"\\"',
    "x" * 300,
    "__import__",
    "é",
    "\U0001d41a",
]
_CALLS = [
    'list("words")',
    'list("networks")',
    'list("none")',
    "known(",
    "matches(",
    ".startswith(",
    ".endswith(",
    ".upper()",
    "by=",
    "within=",
    "across=",
    'across="platform"',
    'count("payments", by="card", within="1h", across="platform")',
    'distinct("merchant", by="ip", within="30d", across="platform")',
]
_FUNCTIONS = [
    f'{function}("{over}", by="{by}", within="1h")'
    for function in Function
    for over in OVER[function][:2]
    for by in BY[:2]
]
TOKENS: Sequence[str] = [*_SYNTAX, *_LITERALS, *_CALLS, *_FUNCTIONS, *VOCABULARY]


def spoilt_sources(draw: Random) -> Sources:
    """Makes sources of which at least one part is spoilt, nine times in ten the rules."""
    rules, rates, lists = draw.choice(RULES), EXCHANGE, dict(LISTS)
    part = draw.random()
    if part < 0.86:
        rules = spoilt(draw, rules, RULES)
    elif part < 0.93:
        rates = spoilt(draw, rates, [EXCHANGE])
    else:
        name = draw.choice(sorted(lists))
        lists[name] = spoilt(draw, lists[name], list(LISTS.values()))
        rules = b"ruleset: a\nrules:\n  - {id: b, when: 'ip in list(\"" + name.encode() + b"\")', action: block}\n"
    return Sources("cards.yaml", rules, lists, rates)


def spoilt(draw: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Damages content a little or wholly, or puts a part of another in its place."""
    kind = draw.random()
    if kind < 0.03:
        return draw.randbytes(draw.choice((0, 1, 10, 100, 3_000)))
    if kind < 0.06:
        return _nested(draw)
    if kind < 0.09:
        return _splice(draw, content, draw.choice(others))
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        content = draw.choice(_CHANGES)(draw, content)
    return content


def _flip(draw: Random, content: bytes) -> bytes:
    if not content:
        return content
    place, changed = draw.randrange(len(content)), bytearray(content)
    changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(draw: Random, content: bytes) -> bytes:
    start, end = _span(draw, content)
    return content[:start] + content[end:]


def _truncate(draw: Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _repeat(draw: Random, content: bytes) -> bytes:
    start, end = _span(draw, content)
    return content[:end] + content[start:end] * draw.choice((1, 1, 2, 50)) + content[end:]


def _repeat_line(draw: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    place = draw.randrange(len(lines))
    lines.insert(draw.choice((place, draw.randrange(len(lines)))), lines[place])
    return b"\n".join(lines)


def _indent_line(draw: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    place = draw.randrange(len(lines))
    lines[place] = draw.choice((b" ", b"  ", b"\t", b"- ", b"#", b"? ")) + lines[place]
    return b"\n".join(lines)


def _insert(draw: Random, content: bytes) -> bytes:
    place = draw.randrange(len(content) + 1)
    text = draw.choice((*_ODD, *_SCALARS, *_NUMBERS, draw.choice(TOKENS)))
    return content[:place] + text.encode() * draw.choice((1, 1, 1, 2, 400)) + content[place:]


def _replace(pattern: bytes, make: Callable[[Random], str]) -> Callable[[Random, bytes], bytes]:
    """Makes a change that puts something else in place of one match."""

    def change(draw: Random, content: bytes) -> bytes:
        found = list(re.finditer(pattern, content))
        if not found:
            return content
        match = draw.choice(found)
        return content[: match.start(1)] + make(draw).encode("utf-8", "surrogatepass") + content[match.end(1) :]

    return change


def soup(draw: Random) -> str:
    """Words of the language in no order: sometimes an expression, mostly not."""
    return draw.choice((" ", " ", "")).join(draw.choice(TOKENS) for _ in range(draw.choice((1, 2, 3, 5, 8, 20))))


def _quoted_soup(draw: Random) -> str:
    text = soup(draw)
    if draw.random() < 0.1:
        text = draw.choice(("(", "[", "not ", "-", "{", "a.", "(a or ")) * draw.choice((5, 40, 500)) + text
    return "'" + text.replace("'", "''") + "'" if draw.random() < 0.8 else text


_WORDS = sorted({word for token in TOKENS for word in re.findall(r"[a-z_]+", token)})
_CHANGES: Sequence[Callable[[Random, bytes], bytes]] = [
    _flip, _cut, _truncate, _repeat, _repeat_line, _indent_line, _insert,
    _replace(rb"when: ([^\n]*)", _quoted_soup),
    _replace(rb"when: ([^\n]*)", _quoted_soup),
    _replace(rb"when: ([^\n]*)", _quoted_soup),
    _replace(rb": ([^\n:]+)\n", lambda draw: draw.choice(_SCALARS)),
    _replace(rb"([0-9][0-9_.]*)", lambda draw: draw.choice(_NUMBERS)),
    _replace(rb"([a-z_]+)", lambda draw: draw.choice(_WORDS)),
    _replace(rb"([a-z_]+)", lambda draw: draw.choice(_ODD)),
    _replace(rb"( [a-z!=<>]+ )", lambda draw: f" {draw.choice(_SYNTAX)} "),
]  # fmt: skip


def _nested(draw: Random) -> bytes:
    depth = draw.choice((10, 16, 17, 100, 5_000))
    opening = draw.choice(("[", "{a: ", "- ", "? ", "a:\n ", "!!x [", "&a [", "(", "'", '"'))
    head = draw.choice(("", "ruleset: a\nrules: ", "ruleset: a\nrules:\n  - id: b\n    when: ", "thresholds: "))
    return (head + opening * depth + draw.choice(("", "a", "]" * depth, "}" * depth))).encode()


def _splice(draw: Random, one: bytes, other: bytes) -> bytes:
    return one[: draw.randrange(len(one) + 1)] + other[draw.randrange(len(other) + 1) :]


def _span(draw: Random, content: bytes) -> tuple[int, int]:
    start = draw.randrange(len(content) + 1)
    return start, min(len(content), start + draw.choice((1, 2, 10, 100)))
