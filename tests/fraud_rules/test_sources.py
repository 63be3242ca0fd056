"""What a ruleset is made of can be written down, and makes the same ruleset again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_rules import RulesError, Sources, check_sources, load_sources, read_sources
from tests.fraud_rules.rulefiles import rule, ruleset_text, write_rules

contents = st.binary(max_size=40)


@given(st.builds(Sources, st.text(max_size=9), contents, st.dictionaries(st.text(max_size=9), contents), contents))
def test_whatever_the_bytes_they_survive_being_written_down(sources: Sources) -> None:
    assert Sources.from_json(sources.to_json()) == sources


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"name": "a", "rules": 1, "lists": {}, "rates": ""}', b"\xff"]
)
def test_what_is_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        Sources.from_json(content)


def test_a_ruleset_is_made_again_from_its_own_sources(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "used.txt").write_text("a@x.org\n")
    (tmp_path / "lists" / "other.txt").write_text("b@x.org\n")
    path = write_rules(tmp_path, ruleset_text(rule("any", 'email in list("used")')))
    ruleset = load_sources(read_sources(path, lists=tmp_path / "lists"), block_threshold=50)
    again = load_sources(Sources.from_json(ruleset.sources.to_json()))
    ruleset.close()
    again.close()
    assert list(ruleset.sources.lists) == ["used"]
    assert again.hash == ruleset.hash == check_sources(ruleset.sources).hash
    assert again.thresholds.block == 50
    assert again.decide({"email": "a@x.org"}).outcome == "BLOCK"


def test_another_block_threshold_makes_another_ruleset(tmp_path: Path) -> None:
    sources = read_sources(write_rules(tmp_path, ruleset_text(rule("any", "amount > 5"))))
    plain, strict = load_sources(sources), load_sources(sources, block_threshold=50)
    plain.close()
    strict.close()
    assert plain.hash != strict.hash
    assert (plain.decide({"amount": 6}).outcome, strict.decide({"amount": 6}).outcome) == ("ALLOW", "BLOCK")


def test_files_beyond_the_limit_are_not_read_whole_and_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="more than 1,000,000 bytes"):
        check_sources(read_sources("/dev/zero"))
    with pytest.raises(RulesError, match="cannot be read"):
        read_sources(tmp_path / "a\0b")
