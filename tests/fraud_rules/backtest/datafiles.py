"""Makes small files of payments for the tests beside it."""

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fraud_rules import Ruleset
from fraud_rules.backtest import Report, run_backtest, source_of
from tests.fraud_rules.rulefiles import load_text

START = datetime(2026, 3, 1, tzinfo=UTC)


def row(seconds: int, **cells: object) -> dict[str, object]:
    """A payment some seconds after the first of March; 100 dollars where nothing else is said."""
    time = (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return {"time": time, "amount": 10_000, "currency": "USD", **cells}


def write_csv(folder: Path, rows: Sequence[Mapping[str, object]], name: str = "payments.csv") -> Path:
    """Writes rows, each of which may lack cells."""
    columns = list(dict.fromkeys(column for one in rows for column in one))
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def judge(folder: Path, data: Path, rules: str, live: str | None = None) -> Report:
    """Runs a backtest of a rule file's text."""
    rulesets: list[Ruleset] = [load_text(folder, text) for text in (rules, live) if text is not None]
    try:
        return run_backtest(source_of(data), rulesets[0], rulesets[1] if live else None, lambda share: None)
    finally:
        for ruleset in rulesets:
            ruleset.close()
