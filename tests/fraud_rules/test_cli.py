"""`kassa rules check` and `kassa rules test`: what they print and with which code they end."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud_rules.cli import app
from fraud_rules.facts import VOCABULARY
from fraud_rules.testing import describe
from tests.fraud_rules.rulefiles import rule, ruleset_text, write_rules

TESTED = "score: 0.9\n    tests: [{given: {amount: 6}, fires: true}, {given: {amount: 5}, fires: false}]"
SOUND = ruleset_text(rule("large", "amount > 5", TESTED))
WIDE = {"COLUMNS": "300"}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, env=WIDE)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", ["check", "test"])
def test_the_shipped_rules_are_sound_and_pass(command: str) -> None:
    code, output = run(command)
    assert code == 0
    assert "default" in output


def test_check_shows_the_rules_and_what_they_ask_of_the_past(tmp_path: Path) -> None:
    text = ruleset_text(rule("often", 'count("payments", by="ip", within="1h") > 5', "action: block\n    mode: shadow"))
    code, output = run("check", str(write_rules(tmp_path, text)))
    assert code == 0
    assert "warning: the rule lacks a test" in output
    assert all(word in output for word in ("often", "block", "shadow", "count_payments_by_ip_1h"))


def test_check_fails_on_errors_and_names_their_place(tmp_path: Path) -> None:
    path = write_rules(tmp_path, SOUND.replace("amount >", "amuont >"))
    code, output = run("check", str(path))
    assert code == 1
    assert f"{path}:5:12: error: unknown fact 'amuont' (did you mean 'amount'?)" in output


def test_strict_check_fails_on_warnings(tmp_path: Path) -> None:
    path = write_rules(tmp_path, ruleset_text(rule("large", "amount > 5")))
    assert run("check", str(path))[0] == 0
    assert run("check", "--strict", str(path))[0] == 1


def test_one_bad_file_of_several_fails_all(tmp_path: Path) -> None:
    good = write_rules(tmp_path, SOUND)
    assert run("check", str(good), str(tmp_path / "none.yaml"))[0] == 1
    assert run("test", str(good), str(tmp_path / "none.yaml"))[0] == 1


def test_test_says_what_it_ran(tmp_path: Path) -> None:
    code, output = run("test", str(write_rules(tmp_path, SOUND)))
    assert code == 0
    assert "cards: 2 of 2 tests passed" in output
    assert "engine and evaluator agree" in output


def test_test_shows_what_failed(tmp_path: Path) -> None:
    path = write_rules(tmp_path, SOUND.replace("{amount: 5}, fires: false", "{amount: 7}, fires: false"))
    code, output = run("test", str(path))
    assert code == 1
    assert "cards: 1 of 2 tests passed" in output
    assert all(word in output for word in ("large", "amount: 7", "does not fire", "fires"))


def test_lists_and_rates_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bad.txt").write_text("a@x.org\n")
    (tmp_path / "rates.yaml").write_text("date: 2025-01-01\nusd_per_unit: {}\n")
    path = write_rules(tmp_path, ruleset_text(rule("bad", 'email in list("bad")', "action: block")))
    assert run("test", str(path))[0] == 1
    assert run("test", str(path), "--lists", str(tmp_path / "mine"), "--rates", str(tmp_path / "rates.yaml"))[0] == 0


def test_dollars_are_shown_as_the_file_writes_them() -> None:
    assert describe({"amount_usd": 1_000_001, "hour": 5, "email": "a@x.org"}, VOCABULARY) == (
        "amount_usd: 10000.01, hour: 5, email: a@x.org"
    )
