"""Every rule of the cookbook is sound, tested and earns no warning, and its page is that of its files."""

from pathlib import Path

import pytest

from fraud_rules import radar
from fraud_rules.cookbook_reference import BOOK, FOLDER, LISTS, chapters, cookbook
from fraud_rules.expressions import facts_of
from fraud_rules.loading import load_ruleset, read_file, run_own_tests
from fraud_rules.velocity import BY, Function

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_of_the_cookbook_is_sound_and_both_back_ends_agree_on_it(path: Path) -> None:
    ruleset = load_ruleset(path, lists=LISTS)  # runs the file's own tests, or raises
    ruleset.close()
    assert [str(warning) for warning in ruleset.warnings] == []
    assert ruleset.name == path.stem


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_rule_has_a_reason_and_is_seen_to_fire_and_not_to_fire(path: Path) -> None:
    checked = read_file(path, lists=LISTS)
    for rule in checked.file.rules:
        assert rule.why, rule.id
        assert {test.fires for test in rule.tests} == {True, False}, rule.id
    assert all(result.passed for result in run_own_tests(checked))


def test_the_page_is_that_of_the_files() -> None:
    assert BOOK.read_text(encoding="utf-8") == cookbook(), "run `python -m fraud_rules.cookbook_reference`"


def test_no_rule_stands_twice_and_there_are_enough() -> None:
    ids = [recipe.id for chapter in chapters() for recipe in chapter.recipes]
    assert len(ids) == len(set(ids))
    assert sum(len(chapter.recipes) for chapter in chapters() if "radar" not in chapter.name) >= 50


def test_every_key_of_the_past_and_every_function_has_its_rule() -> None:
    asked = {
        fact.velocity
        for path in FILES
        for rule in read_file(path, lists=LISTS).file.rules
        for fact in facts_of(rule.condition)
        if fact.velocity
    }
    assert {velocity.by for velocity in asked} == set(BY)
    assert {velocity.function for velocity in asked} == set(Function)
    assert any(velocity.platform for velocity in asked)


def test_every_example_of_radar_has_its_rule_and_no_rule_is_without_an_example() -> None:
    written = {recipe.id for chapter in chapters() if "radar" in chapter.name for recipe in chapter.recipes}
    assert {rule for _, rule in radar.EXAMPLES} == written
