"""The benchmark measures what it says; what it finds depends on the machine and is no test's business."""

import json
from pathlib import Path

import pytest

from bench import screening
from bench.screening_rules import VELOCITY, VELOCITY_NAMES, rule_file
from fraud_rules import Ruleset, load_ruleset
from fraud_rules.rules import Mode


@pytest.mark.parametrize("count", [50, 200])
def test_its_rules_are_live_and_ask_for_twelve_numbers_of_the_past(tmp_path: Path, count: int) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(rule_file(count))
    ruleset: Ruleset = load_ruleset(path)
    ruleset.close()
    assert [rule.mode for rule in ruleset.rules] == [Mode.LIVE] * count
    assert sorted(VELOCITY_NAMES) == [fact.name for fact in ruleset.velocity]
    assert VELOCITY == 12


def test_it_fails_where_screening_costs_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screening, "_ROUNDS", 2)
    monkeypatch.setattr(screening, "TARGETS_US", {50: 1e9})
    assert screening.main(["--payments", "10", "--json"]) == 0
    [cost] = json.loads(capsys.readouterr().out)
    assert min(cost["screening"], cost["decide"], cost["engine"], cost["plain"]) > 0
    assert cost["ratio"] == pytest.approx(cost["screening"] / cost["plain"])
    monkeypatch.setattr(screening, "TARGETS_US", {50: 0.001})
    assert screening.main(["--payments", "10"]) == 1
    assert "may cost" in capsys.readouterr().out
