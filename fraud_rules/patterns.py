"""Regular expressions of rules, by RE2: linear in the text, whatever the pattern. Used by `parser` and `evaluator`."""

from typing import Protocol, cast

import re2  # type: ignore[import-untyped]  # its wheel brings no types

from fraud_rules.facts import Case, Fact


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """Returns a match found anywhere in the text, or None."""


def compile_pattern(pattern: str, fact: Fact) -> Pattern:
    """Compiles a pattern for a text fact; letter case is ignored where the fact itself is normalised.

    Raises:
        ValueError: Not RE2 (https://github.com/google/re2/wiki/Syntax), or too large for RE2's memory limit.
    """
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = fact.case is Case.AS_IS
    options.max_mem = 1 << 20
    try:
        return cast(Pattern, re2.compile(pattern, options))
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
