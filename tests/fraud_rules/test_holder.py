"""A changed file is taken up, a bad one is not, and payments go on all the while."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from fraud_rules import (
    Backend,
    Outcome,
    Problem,
    Rejected,
    Reloaded,
    RulesError,
    Ruleset,
    RulesetHolder,
    ScreeningFailure,
    Sources,
    read_sources,
)
from tests.fraud_rules.rulefiles import rule, ruleset_text, write_rules

_clock = count(1_700_000_000)


def write(folder: Path, limit: str) -> Path:
    """Writes rules that block above the limit, with a time stamp of its own whatever the file system's resolution."""
    path = write_rules(folder, ruleset_text(rule("any", f"amount > {limit}", "action: block")))
    stamp = next(_clock)
    os.utime(path, (stamp, stamp))
    return path


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[RulesetHolder]:
    held = RulesetHolder(write(tmp_path, "5"), lists=tmp_path / "lists")
    yield held
    held.close()


def test_nothing_happens_while_nothing_changes(holder: RulesetHolder) -> None:
    before = holder.ruleset
    assert holder.refresh() is None
    assert holder.ruleset is before


def test_a_changed_file_is_taken_up(holder: RulesetHolder, tmp_path: Path) -> None:
    old = holder.ruleset
    assert holder.decide({"amount": 6}).outcome is Outcome.BLOCK
    write(tmp_path, "10")
    event = holder.refresh()
    assert isinstance(event, Reloaded)
    assert (event.old_hash, event.new_hash) == (old.hash, holder.ruleset.hash)
    assert holder.decide({"amount": 6}).outcome is Outcome.ALLOW
    assert old.decide({"amount": 6}).backend is Backend.EVALUATOR
    assert holder.refresh() is None


def test_a_bad_file_leaves_the_old_rules_in_force_and_is_told_once(holder: RulesetHolder, tmp_path: Path) -> None:
    before = holder.ruleset
    write(tmp_path, "many")
    event = holder.refresh()
    assert isinstance(event, Rejected)
    assert event.hash_in_force == before.hash
    assert "unknown fact 'many'" in event.problems[-1].message
    assert holder.ruleset is before
    assert holder.decide({"amount": 6}).backend is Backend.ENGINE
    assert holder.refresh() is None
    write(tmp_path, "10")
    assert isinstance(holder.refresh(), Reloaded)


def test_a_deleted_file_leaves_the_old_rules_in_force(holder: RulesetHolder, tmp_path: Path) -> None:
    (tmp_path / "cards.yaml").unlink()
    assert isinstance(holder.refresh(), Rejected)
    assert holder.decide({"amount": 6}).outcome is Outcome.BLOCK


def test_touching_a_file_changes_nothing(holder: RulesetHolder, tmp_path: Path) -> None:
    before = holder.ruleset
    write(tmp_path, "5")
    assert holder.refresh() is None
    assert holder.ruleset is before
    assert holder.decide({"amount": 6}).backend is Backend.ENGINE


def test_a_changed_list_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    entries = tmp_path / "lists" / "bad.txt"
    entries.write_text("a@x.org\n")
    path = write_rules(tmp_path, ruleset_text(rule("any", 'email in list("bad")', "action: block")))
    holder = RulesetHolder(path, lists=tmp_path / "lists")
    try:
        assert holder.decide({"email": "b@x.org"}).outcome is Outcome.ALLOW
        entries.write_text("a@x.org\nb@x.org\n")
        assert isinstance(holder.refresh(), Reloaded)
        assert holder.decide({"email": "b@x.org"}).outcome is Outcome.BLOCK
    finally:
        holder.close()


def test_sources_from_elsewhere_are_adopted(holder: RulesetHolder, tmp_path: Path) -> None:
    first = holder.ruleset.sources
    (tmp_path / "other").mkdir()
    event = holder.adopt(read_sources(write(tmp_path / "other", "10")))
    assert isinstance(event, Reloaded)
    assert holder.decide({"amount": 6}).outcome is Outcome.ALLOW
    assert isinstance(holder.adopt(replace(first, rules=b"")), Rejected)
    assert holder.decide({"amount": 6}).outcome is Outcome.ALLOW
    assert isinstance(holder.adopt(first), Reloaded)
    assert holder.decide({"amount": 6}).outcome is Outcome.BLOCK
    assert holder.adopt(first) is None


def test_there_is_no_first_ruleset_without_a_sound_file(tmp_path: Path) -> None:
    with pytest.raises(RulesError):
        RulesetHolder(write(tmp_path, "many"))


def test_a_failed_trial_keeps_the_file_out(tmp_path: Path) -> None:
    tried: list[str] = []

    def trial(sources: Sources, _: int | None) -> None:
        tried.append(sources.name)
        raise RulesError([])

    path = write(tmp_path, "5")
    holder = RulesetHolder(path, trial=trial)
    try:
        write(tmp_path, "10")
        assert isinstance(holder.refresh(), Rejected)
        assert tried == [str(path)]
    finally:
        holder.close()


def test_what_the_caller_does_not_accept_never_comes_into_force(tmp_path: Path) -> None:
    def accept(ruleset: Ruleset) -> list[Problem]:
        return [Problem("cards.yaml", 0, 0, f"cannot count {window.name}") for window in ruleset.velocity]

    holder = RulesetHolder(write(tmp_path, "5"), accept=accept)
    before = holder.ruleset
    try:
        write(tmp_path, '5 or count("payments", by="ip", within="1h") > 5')
        event = holder.refresh()
        assert isinstance(event, Rejected)
        assert [problem.message for problem in event.problems] == ["cannot count count_payments_by_ip_1h"]
        assert holder.ruleset is before
        assert holder.decide({"amount": 6}).backend is Backend.ENGINE
    finally:
        holder.close()


def test_payments_are_decided_right_while_rules_are_swapped(tmp_path: Path) -> None:
    failures: list[ScreeningFailure] = []
    holder = RulesetHolder(write(tmp_path, "5"), lists=tmp_path / "lists", on_failure=failures.append)
    wrong: list[object] = []
    done = threading.Event()

    def pay() -> None:
        while not done.is_set():
            decision = holder.decide({"amount": 100})
            if decision.outcome is not Outcome.BLOCK:
                wrong.append(decision)

    threads = [threading.Thread(target=pay) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for limit in range(6, 26):
            write(tmp_path, str(limit))
            assert isinstance(holder.refresh(), Reloaded)
    finally:
        done.set()
        for thread in threads:
            thread.join()
        holder.close()
    assert wrong == []
    assert failures == []
