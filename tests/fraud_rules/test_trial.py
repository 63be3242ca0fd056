"""A file is tried in a process of its own."""

import sys
from pathlib import Path

import pytest

from fraud_rules import RulesError, RulesetHolder, Sources, read_sources
from fraud_rules import trial as trial_module
from fraud_rules.trial import try_in_child
from tests.fraud_rules.rulefiles import rule, ruleset_text, write_rules


def test_a_sound_file_passes_and_is_then_loaded(tmp_path: Path) -> None:
    path = write_rules(tmp_path, ruleset_text(rule("any", "amount > 5")))
    holder = RulesetHolder(path, trial=try_in_child)
    try:
        assert holder.decide({"amount": 6}).fired == ("any",)
    finally:
        holder.close()


def test_the_childs_problems_are_told(tmp_path: Path) -> None:
    path = write_rules(tmp_path, ruleset_text(rule("any", "amuont > 5")))
    with pytest.raises(RulesError) as caught:
        try_in_child(read_sources(path))
    errors = [problem for problem in caught.value.problems if problem.severity == "error"]
    assert [(problem.line, problem.hint) for problem in errors] == [(5, "did you mean 'amount'?")]


def test_a_child_that_dies_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RulesError, match="ended the trial process with code 1"):
        try_in_child(Sources("any.yaml", b"", {}, b""))


def test_a_child_that_hangs_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "hang"
    hanging.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(trial_module, "_SECONDS", 0.2)
    with pytest.raises(RulesError, match="took more than"):
        try_in_child(Sources("any.yaml", b"", {}, b""))
