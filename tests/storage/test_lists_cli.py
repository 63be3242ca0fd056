"""`kassa rules list`: what is added at a terminal stands on the list, and what is wrong is said in words."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from server.cli import app
from server.domain.ids import Prefix, new_id, render_id
from tests.cluster import Database

CARD = "4242424242424242"
Run = Callable[..., Result]


@pytest.fixture
def run(database: Database, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("KASSA_DATABASE_URL", database.writer_url)
    monkeypatch.setenv("KASSA_DATABASE_READER_URL", database.reader_url)
    monkeypatch.setenv("COLUMNS", "300")
    return lambda *arguments: CliRunner().invoke(app, ["rules", "list", *arguments])


def shown(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("show", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_an_entry_is_added_shown_and_removed(run: Run) -> None:
    name, merchant = f"l_{uuid4().hex}", render_id(Prefix.MERCHANT, new_id())
    added = run("add", name, "203.0.113.7", "--reason", "It tests cards.", "--author", "Ada", "--for", "12h",
                "--merchant", merchant, "--json")  # fmt: skip
    assert added.exit_code == 0, added.output
    (entry,) = json.loads(added.stdout)
    assert (entry["value"], entry["author"], entry["merchant_id"]) == ("203.0.113.7", "Ada", merchant)
    assert entry["expires_at"] > entry["created_at"]
    assert shown(run, name) == shown(run, name, "--merchant", merchant) == [entry]
    removed = run("remove", entry["id"], "--author", "Grace")
    assert removed.exit_code == 0 and "Grace" in removed.stdout
    assert shown(run, name) == []
    assert [one["removed_by"] for one in shown(run, name, "--past")] == ["Grace"]


def test_without_a_merchant_it_concerns_every_one_and_the_table_says_so(run: Run) -> None:
    name = f"l_{uuid4().hex}"
    table = run("add", name, "[red]mail@example.com", "--reason", "Fraud.").stdout
    assert "every merchant" in table and "for ever" in table and "[red]mail@example.com" in table
    assert shown(run, name)[0]["merchant_id"] == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "Bad Name", "v", "--reason", "r"), "list_name"),
        (("add", "ips", "", "--reason", "r"), "value"),
        (("add", "ips", CARD, "--reason", "r"), "value"),
        (("add", "ips", "v", "--reason", CARD), "reason"),
        (("add", "ips", "v", "--reason", "two\nlines"), "reason"),
        (("add", "ips", "v", "--reason", "r", "--for", "soon"), "--for"),
        (("add", "ips", "v", "--reason", "r", "--for", "99999d"), "--for"),
        (("add", "ips", "v", "--reason", "r", "--merchant", "mer_1"), "--merchant"),
        (("remove", "lst_1"), "ENTRY"),
        (("show", "Bad Name"), "list_name"),
    ],
)
def test_wrong_usage_is_said_in_words_and_ends_with_2(run: Run, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr and CARD not in result.stderr


def test_an_entry_that_is_not_there_ends_with_1(run: Run) -> None:
    result = run("remove", render_id(Prefix.LIST_ENTRY, new_id()), "--author", "Ada")
    assert (result.exit_code, result.stderr) == (1, "There is no such list entry.\n")


def test_an_incomplete_environment_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KASSA_DATABASE_URL")
    result = run("show")
    assert result.exit_code == 2 and "KASSA_DATABASE_URL" in result.stderr


def test_nothing_of_an_entry_is_cut_on_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"l_{uuid4().hex}"
    added = run("add", name, "2001:db8:1111:2222:3333:4444:5555:6666", "--reason", "It tests cards.", "--json")
    monkeypatch.setenv("COLUMNS", "80")
    output = run("show", name).stdout
    assert json.loads(added.stdout)[0]["id"] in output
    assert "…" not in output
