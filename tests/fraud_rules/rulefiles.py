"""Makes small rule files for the tests beside it."""

from pathlib import Path

from fraud_rules import Ruleset, load_ruleset
from fraud_rules.ruleset import OnFailure


def rule(name: str, when: str, then: str = "score: 0.1") -> str:
    """One rule as it stands under `rules:`; the condition is quoted as YAML."""
    quoted = when.replace("'", "''")
    return f"  - id: {name}\n    when: '{quoted}'\n    {then}\n"


def ruleset_text(*rules: str, head: str = "thresholds: {challenge: 0.4, review: 0.6, block: 0.8}\n") -> str:
    """A whole file."""
    return f"ruleset: cards\n{head}rules:\n{''.join(rules)}"


def write_rules(folder: Path, text: str) -> Path:
    """Writes the file into a folder."""
    path = folder / "cards.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load_text(folder: Path, text: str, on_failure: OnFailure | None = None) -> Ruleset:
    """Loads a file written from the text; lists are looked for in `lists` of the same folder."""
    return load_ruleset(write_rules(folder, text), lists=folder / "lists", on_failure=on_failure)
