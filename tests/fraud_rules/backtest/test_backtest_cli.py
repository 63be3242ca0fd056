"""`kassa rules backtest` at a terminal and in CI: what it prints and writes, and with which code it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud_rules.cli import app
from tests.fraud_rules.backtest.datafiles import row, write_csv
from tests.fraud_rules.rulefiles import rule, ruleset_text, write_rules

WIDE = {"COLUMNS": "300"}
RULES = ruleset_text(rule("large", "amount > 5_000", "action: block"))


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["backtest", *map(str, arguments)], env=WIDE)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return write_rules(tmp_path, RULES)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    labels = ("fraud", "legit", "legit", "")
    return write_csv(tmp_path, [row(second, label=labels[second % 4]) for second in range(40)])


def test_it_shows_writes_and_prints(rules: Path, data: Path, tmp_path: Path) -> None:
    html, markdown = tmp_path / "report.html", tmp_path / "summary.md"
    code, out, _ = run(rules, "--data", data, "--against", rules, "--html", html, "--markdown", markdown)
    assert code == 0
    assert all(word in out for word in ("large", "40", "33.3 %", "Against the live rules"))
    assert html.read_text().startswith("<!doctype html>")
    assert markdown.read_text().startswith("## Backtest of `cards`")


def test_json_is_all_that_is_on_standard_output(rules: Path, data: Path) -> None:
    code, out, _ = run(rules, "--data", data, "--json")
    assert code == 0
    assert json.loads(out)["payments"]["all"]["count"] == 40


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        (("--min-precision", 0.3), 0),
        (("--min-precision", 0.4), 1),
        (("--min-recall", 1), 0),
        (("--max-good-blocked", 0.5), 1),
    ],
)
def test_a_limit_that_is_not_kept_fails_the_build(rules: Path, data: Path, limit: tuple[str, float], code: int) -> None:
    found, out, err = run(rules, "--data", data, *limit)
    assert (found, bool(err.strip())) == (code, code == 1)
    assert "large" in out  # the report is shown all the same


def test_rules_that_are_not_sound_end_with_one(tmp_path: Path, data: Path) -> None:
    path = write_rules(tmp_path, RULES.replace("amount", "amuont"))
    code, out, err = run(path, "--data", data)
    assert (code, out) == (1, "")
    assert "did you mean 'amount'?" in err


def test_data_that_cannot_be_read_ends_with_two(rules: Path, tmp_path: Path) -> None:
    code, _, err = run(rules, "--data", write_csv(tmp_path, [row(0, amount="x")]))
    assert code == 2
    assert "payments.csv:2: amount: is not a whole number" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name the payments"),
        (("--data", "x.csv", "--stored"), "Name the payments"),
        (("--data", "x.csv", "--since", "2026-01-01"), "are for --stored"),
        (("--stored",), "--stored needs --since"),
        (("--stored", "--since", "2026-01-01"), "the gateway's own command line only"),
        (("--data", "none.csv"), "none.csv: cannot be read: No such file or directory"),
    ],
)
def test_a_call_that_makes_no_sense_ends_with_two(rules: Path, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run(rules, *arguments)
    assert code == 2
    assert message in err


def test_a_report_that_cannot_be_written_ends_with_two(rules: Path, data: Path, tmp_path: Path) -> None:
    code, _, err = run(rules, "--data", data, "--html", tmp_path / "none" / "report.html")
    assert code == 2
    assert "cannot be written" in err
