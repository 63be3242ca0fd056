"""Entries that people add at run time: whom they count for, until when, and how a decision remembers them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fraud_rules import EMPTY, ListEntry, Outcome, RulesError, Ruleset, RuntimeLists
from fraud_rules.facts import VOCABULARY
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)
IP, EMAIL, CARD = (VOCABULARY[name] for name in ("ip", "email", "card"))


def entry(value: str, name: str = "bad", merchant: str = "", expires_at: datetime | None = None) -> ListEntry:
    return ListEntry(name, merchant, value, expires_at)


def test_values_are_compared_in_the_facts_own_case() -> None:
    lists = RuntimeLists([entry("Bad@X.org")])
    assert lists.contains("bad", EMAIL, "bad@x.org", "", NOW)
    assert not lists.contains("bad", CARD, "bad@x.org", "", NOW)
    assert lists.contains("bad", CARD, "Bad@X.org", "", NOW)
    assert not lists.contains("other", EMAIL, "bad@x.org", "", NOW)


def test_networks_hold_addresses_and_mean_nothing_to_other_facts() -> None:
    lists = RuntimeLists([entry("203.0.113.0/24"), entry("2001:DB8::/32"), entry("10.0.0.0/99"), entry("a/b")])
    assert lists.contains("bad", IP, "203.0.113.255", "", NOW)
    assert lists.contains("bad", IP, "2001:db8::1", "", NOW)
    assert not lists.contains("bad", IP, "203.0.114.0", "", NOW)
    assert not lists.contains("bad", IP, "::cb00:7109", "", NOW), "the number of 203.0.113.9, in the other family"
    assert not lists.contains("bad", IP, "no address", "", NOW)
    assert not lists.contains("bad", EMAIL, "203.0.113.255", "", NOW)
    assert lists.contains("bad", EMAIL, "a/b", "", NOW)


@pytest.mark.parametrize("written", ["2001:DB8:0:0::1", "2001:db8::1"])
def test_an_address_is_the_same_however_it_is_written(written: str) -> None:
    assert RuntimeLists([entry(written)]).contains("bad", IP, IP.normalise("2001:0db8::0001"), "", NOW)
    assert IP.normalise("::ffff:203.0.113.9") == "203.0.113.9"


def test_an_entry_counts_for_its_merchant_or_for_every_one() -> None:
    lists = RuntimeLists([entry("a", merchant="mer_1"), entry("b")])
    found = [
        [lists.contains("bad", CARD, value, merchant, NOW) for merchant in ("mer_1", "mer_2", "")] for value in "ab"
    ]
    assert found == [[True, False, False], [True, True, True]]


def test_an_entry_counts_until_it_expires_and_the_later_of_two_wins() -> None:
    lists = RuntimeLists(
        [
            entry("a", expires_at=SOON),
            entry("b", expires_at=SOON),
            entry("b", expires_at=NOW),
            entry("c", expires_at=NOW),
            entry("c"),
            entry("10.0.0.0/8", expires_at=SOON),
        ]
    )
    assert [lists.contains("bad", CARD, value, "", NOW) for value in "abc"] == [True, True, True]
    assert [lists.contains("bad", CARD, value, "", SOON) for value in "abc"] == [False, False, True]
    assert [lists.contains("bad", IP, "10.1.1.1", "", at) for at in (NOW, SOON)] == [True, False]


HEAD = "lists: [bad, vip]\n"
RULES = (
    rule("blocked", 'email in list("bad") or card in list("bad")', "action: block"),
    rule("stranger", 'customer not in list("vip")', "action: challenge"),
)


@pytest.fixture
def rules(tmp_path: Path) -> Ruleset:
    ruleset = load_text(tmp_path, ruleset_text(*RULES, head=HEAD))
    ruleset.close()
    return ruleset


def test_a_declared_list_begins_empty_and_entries_are_found(rules: Ruleset) -> None:
    assert rules.lists == ("bad", "vip")
    payment = {"email": "A@X.org", "customer": "cus_1", "merchant": "mer_1"}
    assert rules.decide(payment).fired == ("stranger",)
    added = RuntimeLists([entry("a@x.org", merchant="mer_1"), entry("cus_1", "vip", expires_at=SOON)])
    assert rules.decide(payment, added, NOW).fired == ("blocked",)
    assert rules.decide(payment, added, SOON).fired == ("blocked", "stranger")
    assert rules.decide({**payment, "merchant": "mer_2"}, added, NOW).fired == ()


def test_a_file_and_entries_add_up(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "bad.txt").write_text("a@x.org\n")
    rules = load_text(tmp_path, ruleset_text(rule("bad", 'email in list("bad")', "action: block")))
    added = RuntimeLists([entry("b@x.org")])
    outcomes = [rules.decide({"email": f"{name}@x.org"}, added).outcome for name in "abc"]
    rules.close()
    assert outcomes == [Outcome.BLOCK, Outcome.BLOCK, Outcome.ALLOW]


def test_a_decision_is_replayed_whatever_the_lists_are_today(rules: Ruleset) -> None:
    added = RuntimeLists([entry("a@x.org"), entry("cus_1", "vip")])
    decision = rules.decide({"email": "a@x.org", "customer": "cus_1"}, added)
    assert dict(decision.facts) == {
        "email": "a@x.org",
        "customer": "cus_1",
        "listed_bad_email": True,
        "listed_vip_customer": True,
    }
    assert rules.decide(decision.facts) == decision
    unlisted = rules.decide({"email": "a@x.org", "customer": "cus_1"})
    assert unlisted.facts["listed_bad_email"] is False
    assert rules.decide(unlisted.facts, added) == unlisted


def test_an_unknown_fact_is_neither_listed_nor_not(rules: Ruleset) -> None:
    assert rules.truths({}) == {"blocked": None, "stranger": None}
    assert rules.truths({"email": "a", "customer": "b"}) == {"blocked": None, "stranger": True}
    assert rules.truths({"email": "a", "card": "b"}) == {"blocked": False, "stranger": None}
    assert rules.decide({"listed_vip_customer": False, "listed_bad_email": True}).fired == ()


def test_tests_of_a_file_may_say_that_a_value_is_listed(tmp_path: Path) -> None:
    tests = (
        "action: block\n    tests: [{given: {email: a, listed_bad_email: true}, fires: true},"
        " {given: {email: a}, fires: false}]"
    )
    ruleset = load_text(tmp_path, ruleset_text(rule("one", 'email in list("bad")', tests), head="lists: [bad]\n"))
    ruleset.close()
    assert ruleset.warnings == ()


@pytest.mark.parametrize(
    ("head", "when", "message"),
    [
        ("", 'email in list("bad")', "there is no list 'bad'"),
        ("lists: [Bad]\n", "amount > 5", "the list's name 'Bad' is not a name"),
        ("lists: bad\n", "amount > 5", "lists are a list"),
        ("lists: [bad]\n", 'amount in list("bad")', "amount is of type integer"),
        (
            "lists: [a_metadata, a]\nmetadata: {email: text}\n",
            'metadata_email in list("a") or email in list("a_metadata")',
            "cannot be told apart",
        ),
    ],
)
def test_mistakes_with_lists_are_told(tmp_path: Path, head: str, when: str, message: str) -> None:
    with pytest.raises(RulesError, match=message):
        load_text(tmp_path, ruleset_text(rule("one", when), head=head))


def test_the_empty_lists_hold_nothing() -> None:
    assert not EMPTY.contains("bad", EMAIL, "a", "mer_1", NOW)
