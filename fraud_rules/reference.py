"""The fact reference in README.md, and schema.json; `python -m fraud_rules.reference` renews both from the code."""

from collections.abc import Iterable
from pathlib import Path

from fraud_rules.facts import MAX_INTEGER, VOCABULARY, Case, Fact, Kind, Unit
from fraud_rules.schema import SCHEMA, schema_text
from fraud_rules.velocity import (
    BY,
    COUNTED,
    MAX_PLATFORM_DAYS,
    OVER,
    PLATFORM,
    PLATFORM_BY,
    PLATFORM_DISTINCT,
    PLATFORM_FUNCTIONS,
    WITHOUT_WINDOW,
    Function,
)

README = Path(__file__).parent / "README.md"
_START, _END = "<!-- facts: written by fraud_rules.reference -->", "<!-- end of facts -->"


def fact_reference() -> str:
    """Returns the tables of facts and velocity functions as Markdown."""
    rows = [f"| `{fact.name}` | {fact.kind} | {_values(fact)} | {fact.meaning} |" for fact in VOCABULARY.values()]
    functions = (
        (Function.COUNT, "how many"),
        (Function.SUM, "their amounts, written in dollars"),
        (Function.AVERAGE, "their average amount, written in dollars"),
        (Function.DISTINCT, "how many different values among payments"),
        (Function.SECONDS_SINCE_LAST, "seconds since the newest of them"),
        (Function.SECONDS_SINCE_FIRST, "seconds since the oldest of them"),
        (Function.FIRST_SEEN, "true where there is none of them"),
        (Function.LAST, "what the processor said last, a text"),
    )
    windows = [f"| `{name}` | {_code(OVER[name])} | {gives} |" for name, gives in functions]
    return "\n".join(
        [
            "| fact | type | unit or values | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            f"`by=` is one of {_code(BY)}; `within=` is `1m` to `90d`, or `ever`, and may be left "
            f"out for {_code(WITHOUT_WINDOW)}.",
            "",
            "| function | over | gives |",
            "|---|---|---|",
            *windows,
            "",
            f'`across="{PLATFORM}"` counts the payments of all merchants, as they were made, for '
            f"{_code(PLATFORM_FUNCTIONS)} of `{COUNTED[0]}`; `distinct` tells apart {_code(PLATFORM_DISTINCT)}. "
            f"There `by=` is one of {_code(PLATFORM_BY)}, and `within=` must be given, `{MAX_PLATFORM_DAYS}d` at most.",
        ]
    )


def with_reference(readme: str) -> str:
    """Returns the README's text with its fact reference renewed."""
    before, _, rest = readme.partition(_START)
    _, _, after = rest.partition(_END)
    return f"{before}{_START}\n{fact_reference()}\n{_END}{after}"


def _values(fact: Fact) -> str:
    if fact.values:
        return _code(fact.values)
    match fact.kind:
        case Kind.INTEGER if fact.unit is Unit.US_CENTS:
            return "US dollars"
        case Kind.INTEGER if fact.maximum < MAX_INTEGER:
            return f"{fact.minimum} to {fact.maximum}"
        case Kind.INTEGER:
            return str(fact.unit)
        case Kind.BOOLEAN:
            return "true, false"
        case Kind.TEXT:
            return "" if fact.case is Case.AS_IS else f"{fact.case} case"


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
