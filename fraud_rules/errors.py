"""What can be wrong with a rule file, and how it is told. Raised by `loading`, shown by `check` and `cli`."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What rulesets, rules and lists are called."""
IDENTIFIER_HINT = "use up to 64 of a-z, 0-9 and _, a letter first"

_LONGEST = 400
"""Characters that a part of a finding may have."""


class Severity(StrEnum):
    """ERROR keeps a file from being loaded; WARNING is only shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding in a rule, list or rates file.

    Attributes:
        file: The file as the caller named it.
        line: From 1; 0 where the finding is about the whole file.
        column: From 1, in characters; 0 where the finding is about the whole line.
        message: What is wrong.
        hint: What to write instead, or empty.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        """Escapes and cuts what no terminal and no log should be told: a file may hold anything, and is quoted."""
        for name in ("file", "message", "hint"):
            object.__setattr__(self, name, _told(getattr(self, name)))

    def __str__(self) -> str:
        """One line in the form that editors and CI recognise: `file:line:column: severity: message (hint)`."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint}"

    def to_json(self) -> dict[str, str | int]:
        """Returns the finding as plain values."""
        place: dict[str, str | int] = {"file": self.file, "line": self.line, "column": self.column}
        return {**place, "message": self.message, "hint": self.hint, "severity": str(self.severity)}


class RulesError(Exception):
    """The file is not loaded; `problems` says why, in the order of the file, at least one of them an error."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns `did you mean 'x'?` for the closest known word, or an empty text where none is close."""
    matches = difflib.get_close_matches(word[:200], list(known), n=1, cutoff=0.6)
    return f"did you mean {str(matches[0])!r}?" if matches else ""


def _told(text: str) -> str:
    if not text.isprintable():
        text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
