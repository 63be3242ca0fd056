"""Reads typed fields out of a document and collects every problem on the way. Called by `rulefile`."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from fraud_rules.document import Entries, Node, Scalar, Sequence
from fraud_rules.errors import IDENTIFIER, IDENTIFIER_HINT, Problem, Severity, nearest
from fraud_rules.expressions import LISTED, Condition, listed_word
from fraud_rules.facts import VOCABULARY, Fact, Kind, Value
from fraud_rules.lists import Lists
from fraud_rules.literals import LiteralError, number, value_of
from fraud_rules.parser import parse_condition
from fraud_rules.source import ExpressionError
from fraud_rules.terms import unknown_fact_hint
from fraud_rules.velocity import BY, PLATFORM, Function, velocity_fact

_Choice = TypeVar("_Choice", bound=StrEnum)
MERCHANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VELOCITY = re.compile(rf"({'|'.join(Function)})_(\w+)_by_({'|'.join(BY)})(_across_{PLATFORM})?_([0-9]+[mhd]|ever)")


class Fields:
    """One file being read. A field that is wrong becomes a problem and None, so that all are found in one go.

    Attributes:
        problems: What was found so far.
        lists: Those that conditions may name; what the file declares is added to them.
        words: The facts that conditions and tests may name; what the file declares is added to them.
        asked_given: The facts that tests give and that are only there where a rule asks for them, with their places.
    """

    def __init__(self, file: str, source: str, lists: Lists) -> None:
        self._file, self._source = file, source
        self.lists: Lists = lists
        self.words: Mapping[str, Fact] = VOCABULARY
        self.problems: list[Problem] = []
        self.asked_given: list[tuple[str, Node]] = []

    def problem(self, node: Node, message: str, hint: str = "", severity: Severity = Severity.ERROR) -> None:
        """Notes a problem at a node."""
        self.problems.append(Problem(self._file, node.line, node.column, message, hint, severity))

    def entries(self, node: Node, what: str, allowed: Iterable[str]) -> dict[str, Node]:
        """Reads a table whose keys are all among `allowed`."""
        table, allowed = self.table(node, what), tuple(allowed)
        for name, (key, _) in table.items():
            if name not in allowed:
                hint = nearest(name, allowed) or f"{what} has {', '.join(allowed)}"
                self.problem(key, f"{what} has no field {name[:80]!r}", hint)
        return {name: value for name, (_, value) in table.items()}

    def table(self, node: Node | None, what: str) -> Mapping[str, tuple[Scalar, Node]]:
        """Reads a table with whatever keys; a missing one is empty."""
        if node is None or isinstance(node, Entries):
            return {} if node is None else node.items
        self.problem(node, f"{what} is a table of `key: value` lines")
        return {}

    def sequence(self, node: Node | None, what: str) -> list[Node]:
        """Reads a list; a missing one is empty."""
        if node is None:
            return []
        if not isinstance(node, Sequence):
            self.problem(node, f"{what} are a list of `- …` items")
            return []
        return node.items

    def text(self, node: Node | None) -> str:
        """Reads a text; a missing one is empty."""
        if node is not None and not isinstance(node, Scalar):
            self.problem(node, "a text is needed here")
        return node.text if isinstance(node, Scalar) else ""

    def identifier(self, node: Node | None, where: Node, what: str) -> str | None:
        """Reads a name of lower-case letters, digits and underscores."""
        if node is None:
            self.problem(where, f"{what} is missing")
            return None
        text = self.text(node)
        if isinstance(node, Scalar) and not IDENTIFIER.fullmatch(text):
            self.problem(node, f"{what} {text[:80]!r} is not a name", IDENTIFIER_HINT)
        return text

    def merchant(self, node: Node) -> str:
        """Reads a merchant's id."""
        text = self.text(node)
        if isinstance(node, Scalar) and not MERCHANT.fullmatch(text):
            self.problem(node, f"{text[:80]!r} is not a merchant's id", "write it like mer_01k8x5qz6vfyr9a7t2m3c4d5e6")
        return text

    def choice(self, node: Node | None, choices: type[_Choice]) -> _Choice | None:
        """Reads one of an enumeration's values."""
        if node is None:
            return None
        text = self.text(node)
        try:
            return choices(text)
        except ValueError:
            hint = nearest(text, choices) or f"it is one of {', '.join(choices)}"
            self.problem(node, f"{text[:80]!r} is not allowed here", hint)
            return None

    def whole(self, node: Node | None, least: int, most: int) -> int | None:
        """Reads a whole number in a range."""
        text = self.text(node)
        if node is None or (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            return None if node is None else int(text)
        self.problem(node, f"{text[:40]!r} is not a whole number from {least} to {most}")
        return None

    def thousandths(self, node: Node | None, least: int, most: int) -> int | None:
        """Reads a decimal such as 0.35 exactly, as thousandths within a range."""
        if node is None:
            return None
        try:
            value = number(self.text(node)) * 1000
        except LiteralError as error:
            self.problem(node, error.message, error.hint)
            return None
        if value.denominator != 1 or not least <= value <= most:
            self.problem(
                node, f"not a decimal from {Decimal(least) / 1000} to {Decimal(most) / 1000} with at most three places"
            )
            return None
        return value.numerator

    def boolean(self, node: Node | None) -> bool | None:
        """Reads `true` or `false`."""
        text = self.text(node)
        if node is None or text in ("true", "false"):
            return None if node is None else text == "true"
        self.problem(node, f"{text[:40]!r} is neither true nor false")
        return None

    def condition(self, node: Node | None) -> Condition | None:
        """Reads an expression."""
        if not isinstance(node, Scalar):
            self.text(node)
            return None
        try:
            return parse_condition(node.text, self.lists, self.words)
        except ExpressionError as error:
            line, column = self._place(node, error.offset)
            self.problems.append(Problem(self._file, line, column, error.message, error.hint))
            return None

    def given(self, node: Node | None) -> dict[str, Value]:
        """Reads a test's facts, each typed by the vocabulary or, for a velocity fact, by its name."""
        given: dict[str, Value] = {}
        if node is None:
            return given
        if not isinstance(node, Entries):
            self.problem(node, "given is a table of facts", "write given: {amount_usd: 12_000}")
            return given
        for name, (key, value) in node.items.items():
            fact = self.words.get(name) or self._asked_word(name, key)
            if fact is None:
                self.problem(key, f"unknown fact {name[:80]!r}", unknown_fact_hint(name, self.words))
            elif not isinstance(value, Scalar):
                self.problem(value, f"{name} is a {fact.kind}")
            else:
                try:
                    given[name] = value_of(value.text, fact)
                except LiteralError as error:
                    self.problem(value, error.message, error.hint)
        return given

    def _asked_word(self, name: str, key: Node) -> Fact | None:
        """Finds what a name stands for that follows from what rules ask: `count_…_by_…_1h`, `listed_…`."""
        fact = _velocity_word(name) or self._listed_word(name)
        if fact is not None:
            self.asked_given.append((name, key))
        return fact

    def _listed_word(self, name: str) -> Fact | None:
        for listed in self.lists:
            prefix = f"{LISTED}{listed}_"
            if name.startswith(prefix):
                of = name.removeprefix(prefix)
                word = self.words.get(of) or _velocity_word(of)
                if word is not None and word.kind is Kind.TEXT:
                    return listed_word(listed, of)
        return None

    def _place(self, node: Scalar, offset: int) -> tuple[int, int]:
        """Finds where in the file the expression's character stands, whatever YAML did to its white space."""
        start = node.start
        if self._source[start : start + 1] in ("|", ">"):
            start = self._source.find("\n", start) + 1
        elif not node.plain:
            start += 1
        ahead = sum(not character.isspace() for character in node.text[:offset])
        while start < node.end and (ahead or self._source[start].isspace()):
            ahead -= not self._source[start].isspace()
            start += 1
        line_start = self._source.rfind("\n", 0, start) + 1
        return self._source.count("\n", 0, start) + 1, start - line_start + 1


def _velocity_word(name: str) -> Fact | None:
    match = _VELOCITY.fullmatch(name)
    if match is None:
        return None
    try:
        return velocity_fact(Function(match[1]), match[2], match[3], match[5], PLATFORM if match[4] else None).fact()
    except ValueError:
        return None
