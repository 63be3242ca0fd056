"""What is different between two rulesets is told field by field, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest

from fraud_rules import Sources, check_sources
from fraud_rules.difference import Change, Difference, compare
from fraud_rules.sources import RATES
from tests.fraud_rules.rulefiles import rule, ruleset_text

HEAD = """thresholds: {review: 0.6, block: 0.8}
metadata: {gift: boolean}
merchants: {mer_1: {thresholds: {block: 0.9}, off: [large]}}
"""
LARGE = rule("large", "amount_usd > 5 and metadata_gift", "score: 0.3")
LISTED = rule("listed", 'email in list("bad")', "action: block")
OLD = Sources("old", ruleset_text(LARGE, LISTED, head=HEAD).encode(), {"bad": b"a\nb\n"}, RATES.read_bytes())


def difference(old: str, new: str, **changes: object) -> Difference:
    assert old.encode() in OLD.rules
    sources = replace(OLD, rules=OLD.rules.replace(old.encode(), new.encode()), **changes)  # type: ignore[arg-type]
    return compare(check_sources(OLD), check_sources(sources))


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("amount_usd > 5", "amount_usd > 7.50", ("when", "5 and", "7.50 and")),
        ("score: 0.3", "score: 0.35", ("score", "0.3", "0.35")),
        ("score: 0.3", "action: review", ("action", "", "review")),
        ("score: 0.3", "score: 0.3\n    mode: shadow", ("mode", "live", "shadow")),
        ("score: 0.3", "score: 0.3\n    percent: 10", ("percent", "100", "10")),
        ("score: 0.3", "score: 0.3\n    merchants: [mer_1, mer_2]", ("merchants", "", "mer_1, mer_2")),
        ("score: 0.3", "score: 0.3\n    why: because", ("why", "", "because")),
        (
            "score: 0.3",
            "score: 0.3\n    tests: [{given: {}, fires: false}]",
            ("tests", "0", "1, 1 of them new or changed"),
        ),
    ],
)
def test_changes_of_a_rule_are_told(old: str, new: str, change: tuple[str, str, str]) -> None:
    found = difference(old, new)
    assert (found.general, found.added, found.removed) == ((), (), ())
    [changed] = found.changed
    assert changed.id == "large"
    what, before, after = change
    first = next(one for one in changed.changes if one.what == what)
    assert (before in first.old, after in first.new) == (True, True)
    assert found.decides_alike is (what in ("why", "tests"))


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("review: 0.6", "review: 0.5", Change("threshold review", "0.6", "0.5")),
        ("{review: 0.6, ", "{", Change("threshold review", "0.6", "")),
        ("block: 0.9", "block: 1", Change("mer_1: threshold block", "0.9", "1")),
        ("off: [large]", "off: [listed]", Change("mer_1: rules that are off", "large", "listed")),
        ("gift: boolean", "gift: boolean, seats: integer", Change("metadata seats", "", "integer")),
        ("ruleset: cards", "ruleset: other", Change("ruleset", "cards", "other")),
        ("ruleset: cards", "ruleset: cards\napplies_to: hour > 3", Change("applies_to", "", "hour > 3")),
        ("ruleset: cards", "ruleset: cards\nlists: [vip]", Change("lists", "", "vip")),
    ],
)
def test_changes_of_the_file_are_told(old: str, new: str, change: Change) -> None:
    found = difference(old, new)
    assert change in found.general
    assert found.changed == ()
    assert not found.decides_alike


def test_changes_of_lists_and_rates_are_told_in_brief() -> None:
    entries = b"b\n" + b"".join(b"c%d\n" % number for number in range(9))
    found = difference("0.3", "0.3", lists={"bad": entries}, rates=RATES.read_bytes().replace(b"1.1535", b"1.2"))
    assert found.general == (
        Change("list bad", "without a", "with c0, c1, c2, c3, c4 and 4 more"),
        Change("rate of EUR", "1.1535", "1.2"),
    )


def test_rules_come_and_go() -> None:
    found = difference("id: listed", "id: stopped")
    assert [[rule.id for rule in rules] for rules in (found.removed, found.added)] == [["listed"], ["stopped"]]
    assert found.to_json()["added"][0]["when"] == 'email in list("bad")'
    assert not found.decides_alike


def test_a_comment_and_another_order_change_nothing_but_the_hash() -> None:
    found = difference("rules:", "# a comment\nrules:")
    assert (found.general, found.added, found.removed, found.changed) == ((), (), (), ())
    assert found.decides_alike
    assert found.old_hash != found.new_hash


def test_a_block_threshold_from_elsewhere_is_told(tmp_path: Path) -> None:
    found = compare(check_sources(OLD), check_sources(replace(OLD, block_threshold=500)))
    assert found.general == (Change("block threshold in place of the file's", "", "0.5"),)
