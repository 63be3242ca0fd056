"""`kassa rules check`, `test`, `explain` and `diff`: what they print and with which code they end."""

import json
from pathlib import Path
from typing import Any

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


def test_check_tells_what_comparing_rules_shows_and_what_each_costs(tmp_path: Path) -> None:
    often = rule("often", 'count("payments", by="ip", within="1h") > 5', "action: block")
    rare = rule("rare", 'count("payments", by="ip", within="1h") > 9', "action: block")
    path = write_rules(tmp_path, ruleset_text(often, rare))
    code, output = run("check", str(path))
    assert code == 0
    assert f"{path}:7:0: warning: rare is subsumed: whenever it fires, often in line 4" in output
    assert "low: ip 1h" in output
    assert run("check", "--strict", str(path))[0] == 1


def as_json(*arguments: str) -> tuple[int, Any]:
    code, output = run(*arguments, "--json")
    return code, json.loads(output)


def test_check_as_json(tmp_path: Path) -> None:
    path = str(write_rules(tmp_path, SOUND))
    code, [report] = as_json("check", path)
    assert (code, report["sound"], report["ruleset"]) == (0, True, "cards")
    assert [(one["id"], one["when"], one["cost"]) for one in report["rules"]] == [
        ("large", "amount > 5", {"level": "none", "reads": {}})
    ]
    assert {problem["severity"] for problem in report["problems"]} <= {"warning"}
    code, [report] = as_json("check", str(tmp_path / "none.yaml"))
    assert (code, report["sound"]) == (1, False)
    assert report["problems"][0]["message"].startswith("cannot be read")


def test_test_as_json(tmp_path: Path) -> None:
    code, [told] = as_json("test", str(write_rules(tmp_path, SOUND)))
    assert (code, told["passed"], len(told["tests"])) == (0, True, 2)
    code, [told] = as_json("test", str(write_rules(tmp_path, SOUND.replace("{amount: 6}", "{amount: 4}"))))
    assert (code, told["passed"], told["hash"]) == (1, False, None)
    assert told["tests"][0] == {
        "of": "large",
        "line": 7,
        "given": {"amount": 4},
        "expected": "fires",
        "found": "does not fire",
        "passed": False,
    }


EXPLAINED = ruleset_text(
    rule("large", 'amount_usd > 100 and card in list("bad")', "action: review"),
    rule("fast", 'seconds_since_last("payments", by="card") < "10m"', "score: 0.9"),
    head="lists: [bad]\nmetadata: {gift: boolean}\nthresholds: {block: 0.8}\n",
)


def test_explain_shows_every_rule_and_the_values_that_it_saw(tmp_path: Path) -> None:
    path = str(write_rules(tmp_path, EXPLAINED))
    code, output = run("explain", path, "amount_usd=100.50", "card=c1", "listed_bad_card=true", "metadata_gift=true")
    assert code == 0
    assert output.startswith("REVIEW, score 0 by large")
    seen = ("✓ amount_usd > 100", "amount_usd = 100.50", "listed_bad_card = true", "fast", "unknown")
    assert all(text in output for text in seen)
    code, output = run("explain", path, "seconds_since_last_payments_by_card_ever=5m")
    assert output.startswith("BLOCK, score 0.9 by fast")


def test_explain_takes_the_facts_of_a_decision(tmp_path: Path) -> None:
    path, facts = str(write_rules(tmp_path, EXPLAINED)), tmp_path / "facts.json"
    facts.write_text('{"facts": {"amount_usd": 10050, "card": "c1", "listed_bad_card": true, "ip": null}}')
    code, told = as_json("explain", path, "--facts", str(facts))
    assert (code, told["outcome"], told["fired"]) == (0, "REVIEW", ["large"])
    code, told = as_json("explain", path, "card=c2", "listed_bad_card=false", "--facts", str(facts))
    assert (told["outcome"], told["facts"]["card"]) == ("ALLOW", "c2")
    facts.write_text(json.dumps(told))
    assert as_json("explain", path, "--facts", str(facts))[1] == told


def test_explain_works_though_the_files_tests_fail(tmp_path: Path) -> None:
    path = str(write_rules(tmp_path, SOUND.replace("{amount: 6}", "{amount: 4}")))
    assert run("explain", path, "amount=4")[0] == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("amuont=5", "did you mean 'amount'?"),
        ("amount", "is not of the form name=value"),
        ("amount=many", "amount: 'many' is not a decimal number"),
        ("hour=24", "hour is never 24"),
        ("method=cash", "method is never 'cash'"),
        ("ip=", "an empty text is unknown"),
        ("count_payments_by_ip_1h=3", "is no fact that the ruleset asks for"),
    ],
)
def test_facts_that_are_none_end_explain_as_bad_usage(tmp_path: Path, given: str, message: str) -> None:
    code, output = run("explain", str(write_rules(tmp_path, EXPLAINED)), given)
    assert code == 2
    assert message in output


@pytest.mark.parametrize("content", ["", "[]", "5", '{"amount": 1.5}', '{"amuont": 5}', '{"ip": ["a"]}', "[" * 99_999])
def test_files_that_hold_no_facts_end_explain_as_bad_usage(tmp_path: Path, content: str) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(content)
    assert run("explain", str(write_rules(tmp_path, EXPLAINED)), "--facts", str(facts))[0] == 2
    assert run("explain", str(tmp_path / "cards.yaml"), "--facts", str(tmp_path))[0] == 2


def test_diff_ends_as_diff_does(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    old, new = write_rules(tmp_path, SOUND), write_rules(tmp_path / "new", SOUND.replace("amount > 5", "amount >= 6"))
    code, output = run("diff", str(old), str(new))
    assert code == 1
    assert all(word in output for word in ("large", "when", "amount > 5", "amount >= 6"))
    assert run("diff", str(old), str(old))[0] == 0
    assert run("diff", str(old), str(tmp_path / "none.yaml"))[0] == 2
    code, told = as_json("diff", str(old), str(new))
    assert (code, told["changed"]) == (
        1,
        [{"id": "large", "changes": [{"what": "when", "old": "amount > 5", "new": "amount >= 6"}]}],
    )


def test_dollars_are_shown_as_the_file_writes_them() -> None:
    assert describe({"amount_usd": 1_000_001, "hour": 5, "email": "a@x.org"}, VOCABULARY) == (
        "amount_usd: 10000.01, hour: 5, email: a@x.org"
    )
