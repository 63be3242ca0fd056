"""The documentation in the README is that of the code."""

import re
from pathlib import Path
from typing import Any

import pytest

from fraud_rules.facts import VOCABULARY
from fraud_rules.loading import read_file
from fraud_rules.reference import README, fact_reference, with_reference
from tests.fraud_rules.rulefiles import rule, write_rules


def test_the_fact_reference_is_current() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_reference(readme) == readme, "run `python -m fraud_rules.reference`"
    assert all(f"| `{name}` |" in fact_reference() for name in VOCABULARY)


def test_the_example_in_the_readme_is_sound(tmp_path: Path) -> None:
    match = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    checked = read_file(write_rules(tmp_path, match[1]))
    assert [rule.id for rule in checked.file.rules] == ["amount_above_10k", "many_cards_one_address"]


def test_what_the_readme_declares_is_sound(tmp_path: Path) -> None:
    _, lists, metadata, merchants, editors = re.findall(
        r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    text = f"{editors}ruleset: cards\n{lists}{metadata}{merchants}{rule('unusual_hour', 'hour < 6')}"
    checked = read_file(write_rules(tmp_path, text))
    [merchant] = checked.file.merchants
    assert [rule.merchants for rule in checked.file.rules] == [(merchant,), ()]


def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    match = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    monkeypatch.chdir(README.parents[1])
    names: dict[str, Any] = {"count_and_log": print}
    exec(match[1], names)
    names["holder"].close()
    names["ruleset"].close()
    assert names["decision"].ruleset_hash == names["ruleset"].hash


def test_no_fact_can_hold_a_card_number_or_a_security_code() -> None:
    assert not VOCABULARY.keys() & {"card_number", "number", "pan", "cvc", "cvv", "card_cvc"}
