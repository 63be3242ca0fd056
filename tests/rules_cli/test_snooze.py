"""`kassa rules snooze`: who silenced which rule, why and until when; what is wrong is said in words."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from server.clock import utc_now
from server.domain.ids import Prefix, render_id
from server.domain.payment import FraudOutcome
from server.screening.screen import Screening
from server.storage.engine import make_engine
from server.storage.snoozes import read_snoozes
from tests.rules_cli.conftest import Counter, Desk, replayed


@pytest.fixture
def live(desk: Desk) -> Desk:
    """A desk where one rule is live."""
    desk.run("promote", desk.file("5"), "--reason", "first")
    return desk


def add(desk: Desk, rule: str = "any", lasts: str = "12h", **how: Any) -> Any:
    return desk.told("snooze", "add", rule, "--for", lasts, "--reason", "A campaign.", **how)


def test_a_rule_is_silenced_shown_and_acts_again(live: Desk) -> None:
    (snooze,) = add(live)
    assert (snooze["rule"], snooze["author"], snooze["reason"]) == ("any", "ada", "A campaign.")
    assert live.told("snooze", "list") == live.told("history")["snoozed"] == [snooze]
    assert "any is snoozed until" in live.run("history")[1]
    code, output = live.run("snooze", "list", "any")
    assert (code, snooze["id"] in output, "A campaign." in output) == (0, True, True)
    assert snooze["id"] in live.run("snooze", "list", COLUMNS="80")[1]
    (ended,) = live.told("snooze", "end", snooze["id"], "--author", "grace")
    assert (ended["ended_by"], ended["ended_at"] is None) == ("grace", False)
    assert live.told("snooze", "list") == live.told("history")["snoozed"] == []
    assert live.told("snooze", "list", "--past") == [ended]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "any", "--reason", "x"), 2, "--for"),
        (("add", "any", "--for", "1h"), 2, "--reason"),
        (("add", "any", "--for", "31d", "--reason", "x"), 2, "--for must be at most 30 days from now"),
        (("add", "any", "--for", "0h", "--reason", "x"), 2, "--for"),
        (("add", "any", "--for", "soon", "--reason", "x"), 2, "--for"),
        (("add", "any", "--for", "1h", "--reason", " "), 2, "reason"),
        (("add", "any", "--for", "1h", "--reason", "4242424242424242"), 2, "reason"),
        (("add", "anny", "--for", "1h", "--reason", "x"), 2, "did you mean 'any'?"),
        (("add", "No Rule", "--for", "1h", "--reason", "x"), 2, "RULE must be a rule's id"),
        (("end", "nonsense"), 2, "SNOOZE"),
        (("end", "snz_01k8x5qz6vfyr9a7t2m3c4d5e6"), 1, "There is no such snooze."),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_words(live: Desk, arguments: tuple[str, ...], code: int, says: str) -> None:
    found, output = live.run("snooze", *arguments)
    assert (found, says in output) == (code, True), output
    assert live.told("snooze", "list", "--past") == []


def test_where_no_rules_are_released_none_can_be_silenced(desk: Desk) -> None:
    code, output = desk.run("snooze", "add", "any", "--for", "1h", "--reason", "x")
    assert (code, "no rules were released yet" in output) == (2, True)


async def test_decisions_under_a_snooze_are_stored_explained_and_replayed(desk: Desk, counter: Counter) -> None:
    await asyncio.to_thread(add, desk, "gift")
    engine = make_engine(desk.database.reader_url, 1)
    with engine.connect() as connection:
        silent = frozenset(one.rule for one in read_snoozes(connection) if one.expires_at > utc_now())
    engine.dispose()
    counter.bench.screening = Screening(counter.bench.rulesets, snoozed=lambda _: silent)
    payment = await counter.pay(description="gift card")
    assert payment.fraud is not None
    assert (payment.fraud.outcome, payment.fraud.snoozed) == (FraudOutcome.ALLOW, ("gift",))
    [(stored,)] = counter.till.query("SELECT snoozed_rules FROM fraud_decisions WHERE merchant_id = :merchant")
    assert stored == ["gift"]
    assert (await replayed(desk, "--last", "1"))["differences"] == []
    code, output = await asyncio.to_thread(desk.run, "explain", render_id(Prefix.PAYMENT, payment.id))
    assert (code, "snoozed, and not acted upon: gift" in output) == (0, True)
    with counter.till.engine.begin() as connection:
        connection.execute(text("UPDATE fraud_decisions SET snoozed_rules = '[]'"))
    told = await replayed(desk, "--last", "1", code=1)
    assert {"outcome", "rules"} <= {one["difference"]["field"] for one in told["differences"]}
