"""`kassa rules promote`, `rollback`, `history` and `diff`: what they write and print, and with which code they end."""

import json

import pytest
from sqlalchemy import text

from fraud_rules import check_sources, read_sources
from server.storage.engine import make_engine
from tests.fraud_rules.rulefiles import rule, ruleset_text
from tests.rules_cli.conftest import Desk, hash_of


def test_promote_and_rollback_write_the_history_that_is_shown(desk: Desk) -> None:
    first = desk.file("5", "first.yaml")
    second = desk.file("7", "second.yaml")
    code, output = desk.run("promote", first, "--reason", "the first")
    assert (code, f"Release 1: {hash_of(first)[:12]} is LIVE." in output) == (0, True)
    assert desk.run("promote", second, "--reason", "stricter", "--author", "bob")[0] == 0
    code, output = desk.run("rollback", "--reason", "too strict")
    assert (code, f"Release 3: {hash_of(first)[:12]} is LIVE." in output) == (0, True)
    code, output = desk.run("history")
    assert code == 0
    rows = [line for line in output.splitlines() if "LIVE" in line]
    assert [("in force" in row) for row in rows] == [True, False, False]
    assert all(word in rows[1] for word in ("bob", "stricter", "second.yaml", hash_of(second)[:12]))
    assert "ada" in rows[0]
    assert hash_of(first)[:12] in desk.run("history", COLUMNS="80")[1]  # what other commands take is never cut
    told = desk.told("history", "--last", "1")
    assert told["in_force"]["LIVE"]["hash"] == hash_of(first)
    assert [(one["release"]["number"], one["release"]["reason"]) for one in told["releases"]] == [(3, "too strict")]


def test_what_is_promoted_can_be_loaded_again_whole(desk: Desk) -> None:
    lists = desk.folder / "lists"
    lists.mkdir()
    (lists / "bad.txt").write_text("a@x.org\n")
    path = desk.folder / "rules.yaml"
    path.write_text(ruleset_text(rule("any", 'email in list("bad")', "action: block")))
    done = desk.told("promote", str(path), "--reason", "lists", "--lists", str(lists))
    engine = make_engine(desk.database.reader_url, 1)
    with engine.connect() as connection:
        (kept,) = connection.execute(text("SELECT convert_from(sources, 'UTF8') FROM ruleset_versions")).scalars()
    engine.dispose()
    assert json.loads(kept)["lists"] == {"bad": "a@x.org\n"}
    assert done["release"]["hash"] == check_sources(read_sources(path, lists=lists)).hash


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (ruleset_text(rule("any", "amuont > 5")), "did you mean 'amount'?"),
        (ruleset_text(rule("any", "amount > 5", "score: 1\n    tests: [{given: {amount: 5}, fires: true}]")), "fails"),
        ("ruleset: [", "error"),
    ],
    ids=["check", "own tests", "no yaml"],
)
def test_a_closed_gate_is_a_finding_and_nothing_is_written(desk: Desk, rules: str, says: str) -> None:
    desk.run("promote", desk.file("5"), "--reason", "sound")
    path = desk.folder / "bad.yaml"
    path.write_text(rules)
    code, output = desk.run("promote", str(path), "--reason", "bad")
    assert code == 1
    assert says in output and "what was in force stays in force" in output
    told = desk.told("promote", str(path), "--reason", "bad", code=1)
    assert told["release"] is None and told["problems"]
    assert len(desk.told("history")["releases"]) == 1


def test_rules_that_servers_cannot_count_are_not_promoted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.bootstrap_fraud.servable", lambda _: False)
    path = desk.folder / "counting.yaml"
    path.write_text(ruleset_text(rule("any", 'count("payments", by="ip", within="1h") > 5')))
    code, output = desk.run("promote", str(path), "--reason", "count")
    assert (code, "cannot count count_payments_by_ip_1h" in output) == (1, True)


def test_a_candidate_and_a_shadow_come_and_end(desk: Desk) -> None:
    live, other, third = desk.file("5", "a.yaml"), desk.file("6", "b.yaml"), desk.file("7", "c.yaml")
    code, output = desk.run("promote", other, "--reason", "try", "--percent", "10")
    assert (code, "No rules are live yet" in output) == (1, True)
    desk.run("promote", live, "--reason", "first")
    code, output = desk.run("promote", other, "--reason", "try", "--percent", "10")
    assert (code, "is CANDIDATE for 10 % of customers" in output) == (0, True)
    assert desk.told("promote", third, "--reason", "watch", "--shadow")["release"]["role"] == "SHADOW"
    assert set(desk.told("history")["in_force"]) == {"LIVE", "CANDIDATE", "SHADOW"}
    assert "CANDIDATE has ended" in desk.run("rollback", "--reason", "bad")[1]
    assert "SHADOW has ended" in desk.run("rollback", "--shadow", "--reason", "seen")[1]
    code, output = desk.run("rollback", "--reason", "more")
    assert (code, "No other version was in force" in output) == (1, True)
    assert set(desk.told("history")["in_force"]) == {"LIVE"}


def test_what_is_in_force_is_not_promoted_again(desk: Desk) -> None:
    path = desk.file("5")
    desk.run("promote", path, "--reason", "first")
    code, output = desk.run("promote", path, "--reason", "again")
    assert (code, "in force already" in output) == (0, True)
    assert desk.told("promote", path, "--reason", "again")["release"] is None


def test_a_version_is_named_by_how_its_hash_begins(desk: Desk) -> None:
    first = desk.file("5", "a.yaml")
    for path in (first, desk.file("6", "b.yaml"), desk.file("7", "c.yaml")):
        desk.run("promote", path, "--reason", "next")
    done = desk.told("rollback", "--to", hash_of(first)[:10], "--reason", "back")
    assert done["release"]["hash"] == hash_of(first)
    code, output = desk.run("rollback", "--to", "0123456789", "--reason", "back")
    assert (code, "No version was ever live" in output) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("promote", "FILE"),
        ("promote", "FILE", "--reason", "  "),
        ("promote", "FILE", "--reason", "x", "--author", " "),
        ("promote", "FILE", "--reason", "x", "--percent", "0"),
        ("promote", "FILE", "--reason", "x", "--percent", "100"),
        ("promote", "FILE", "--reason", "x", "--percent", "5", "--shadow"),
        ("rollback",),
        ("rollback", "--reason", "x", "--to", "nonsense"),
        ("rollback", "--reason", "x", "--to", "abc"),
        ("rollback", "--reason", "x", "--to", "abcdef", "--shadow"),
        ("history", "--last", "0"),
        ("replay",),
        ("replay", "pay_nonsense"),
        ("replay", "pay_nonsense", "--last", "5"),
        ("replay", "--since", "yesterday"),
        ("replay", "--last", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_before_anything_is_done(desk: Desk, arguments: tuple[str, ...]) -> None:
    path = desk.file("5")
    assert desk.run(*(path if one == "FILE" else one for one in arguments))[0] == 2
    assert desk.told("history")["releases"] == []


def test_without_its_environment_or_its_database_it_says_so(desk: Desk) -> None:
    code, output = desk.run("history", KASSA_DATABASE_URL="")
    assert (code, "KASSA_DATABASE_URL" in output) == (2, True)
    nowhere = "postgresql+psycopg2://nobody:x@127.0.0.1:1/nothing"
    code, output = desk.run("history", KASSA_DATABASE_READER_URL=nowhere)
    assert (code, "The database cannot be reached" in output) == (2, True)
    code, output = desk.run("promote", desk.file("5"), "--reason", "x", KASSA_DATABASE_URL=nowhere)
    assert (code, "The database cannot be reached" in output) == (2, True)


def test_a_file_is_compared_with_what_is_in_force(desk: Desk) -> None:
    live, other = desk.file("5", "a.yaml"), desk.file("6", "b.yaml")
    code, output = desk.run("diff", "live", other)
    assert (code, "There is no live ruleset" in output) == (1, True)
    desk.run("promote", live, "--reason", "first")
    assert desk.run("diff", "live", live)[0] == 0
    told = desk.told("diff", "live", other, code=1)
    assert (told["old_hash"], told["new_hash"]) == (hash_of(live), hash_of(other))
    assert [rule["id"] for rule in told["changed"]] == ["any"]
    assert desk.run("diff", live, other, KASSA_DATABASE_URL="")[0] == 1
