"""The documentation in the README is that of the code."""

import re
from pathlib import Path

from fraud_rules.facts import VOCABULARY
from fraud_rules.loading import read_file
from fraud_rules.reference import README, fact_reference, with_reference
from tests.fraud_rules.rulefiles import write_rules


def test_the_fact_reference_is_current() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_reference(readme) == readme, "run `python -m fraud_rules.reference`"
    assert all(f"| `{name}` |" in fact_reference() for name in VOCABULARY)


def test_the_example_in_the_readme_is_sound(tmp_path: Path) -> None:
    match = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    checked = read_file(write_rules(tmp_path, match[1]))
    assert [rule.id for rule in checked.file.rules] == ["amount_above_10k", "many_cards_one_address"]


def test_no_fact_can_hold_a_card_number_or_a_security_code() -> None:
    assert not VOCABULARY.keys() & {"card_number", "number", "pan", "cvc", "cvv", "card_cvc"}
