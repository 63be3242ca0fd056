"""Snoozes in the database: one of a rule at a time, ended by themselves or by somebody, and kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from server.domain.errors import InvalidField, KassaError, Reason
from server.domain.ids import new_id
from server.domain.rulesets import NewRelease, Role
from server.domain.snooze import LONGEST, NewSnooze, Snooze, check_expiry, check_rule_id
from server.screening.gates import released_version
from server.screening.snoozes import SnoozeSnapshots
from server.storage.rulesets import release
from server.storage.short_transactions import ShortTransactions
from server.storage.snoozes import SnoozeFilter, add_snooze, end_snooze, read_snoozes, snoozes_changed_at
from server.usecases.newest_first import NewestFirst
from server.usecases.page_tokens import PageTokens
from server.usecases.snooze_rules import FindSnoozes, SnoozeRules
from tests.fraud_rules.rulefiles import rule
from tests.screening.lineups import sources
from tests.storage.conftest import Till


def asked(rule_id: str = "", **changes: object) -> NewSnooze:
    """A snooze of a rule that no other test knows."""
    until = datetime.now(UTC) + timedelta(hours=1)
    new = NewSnooze(rule_id or f"r_{uuid4().hex}", "Ada", "It fires on a campaign.", until)
    return replace(new, **changes)  # type: ignore[arg-type]


def add(till: Till, new: NewSnooze) -> Snooze:
    with till.engine.begin() as connection:
        return add_snooze(connection, new)


async def standing(till: Till, rule_id: str) -> list[Snooze]:
    return [one for one in await till.store.read(read_snoozes) if one.rule == rule_id]


async def shown(till: Till, rule_id: str, *, past: bool = False) -> list[Snooze]:
    find = FindSnoozes(NewestFirst(till.store._reads, PageTokens(b"t" * 32)))
    return list((await find.list(SnoozeFilter(rule_id, past), 100, "")).items)


def end(till: Till, snooze: Snooze, who: str) -> Snooze:
    with till.engine.begin() as connection:
        return end_snooze(connection, snooze.id, who)


async def test_a_snooze_counts_until_it_is_ended_and_is_kept(till: Till) -> None:
    added = add(till, asked())
    assert await standing(till, added.rule) == await shown(till, added.rule) == [added]
    ended = end(till, added, "Grace")
    assert (ended.ended_by, ended.ended_at is None) == ("Grace", False)
    assert end(till, added, "Eve") == ended, "who ended it stays"
    assert (await standing(till, added.rule), await shown(till, added.rule)) == ([], [])
    assert await shown(till, added.rule, past=True) == [ended]


async def test_a_snooze_that_is_over_counts_no_longer_and_is_not_ended_again(till: Till) -> None:
    added = add(till, asked())
    over = "UPDATE rule_snoozes SET created_at = now() - interval '2 hours', expires_at = now() WHERE id = :id"
    with till.engine.begin() as connection:
        connection.execute(text(over), {"id": added.id})
    assert (await standing(till, added.rule), await shown(till, added.rule)) == ([], [])
    assert end(till, added, "Grace").ended_at is None
    again = add(till, asked(added.rule))
    assert await standing(till, added.rule) == [again]


async def test_the_same_again_changes_nothing_and_another_takes_its_place(till: Till) -> None:
    new = asked()
    first = add(till, new)
    assert add(till, new) == first
    second = add(till, replace(new, author="Grace", expires_at=new.expires_at + timedelta(hours=1)))
    assert await standing(till, new.rule) == [second]
    past = await shown(till, new.rule, past=True)
    assert [(one.id, one.ended_by) for one in past] == [(second.id, ""), (first.id, "Grace")]


async def test_a_server_sees_what_was_snoozed_and_ended_at_its_next_look(till: Till) -> None:
    snoozes = SnoozeSnapshots(lambda: till.store.read(snoozes_changed_at), lambda: till.store.read(read_snoozes))
    await snoozes.refresh()
    added = add(till, asked())
    assert added.rule not in snoozes.at(datetime.now(UTC))
    assert await snoozes.refresh()
    assert added.rule in snoozes.at(datetime.now(UTC))
    assert added.rule not in snoozes.at(added.expires_at)
    assert not await snoozes.refresh()
    end(till, added, "Grace")
    assert await snoozes.refresh()
    assert added.rule not in snoozes.at(datetime.now(UTC))


async def test_writers_come_one_after_the_other(till: Till) -> None:
    """Else a server could see the later change first, and never look for the earlier one."""
    with till.engine.connect() as first, till.engine.connect() as second:
        add_snooze(first, asked())
        second.execute(text("SET lock_timeout = '100ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            add_snooze(second, asked())
        second.rollback()
        first.rollback()


def test_the_database_itself_takes_none_without_an_end(till: Till) -> None:
    insert = """INSERT INTO rule_snoozes (id, rule, author, reason, created_at, expires_at, changed_at)
                VALUES (:id, 'r', 'Ada', 'x', now(), now() + CAST(:lasts AS interval), now())"""
    for lasts in (None, "32 days"):
        with pytest.raises(IntegrityError), till.engine.begin() as connection:
            connection.execute(text(insert), {"id": new_id(), "lasts": lasts})


@pytest.mark.parametrize(
    ("lasts", "says"),
    [
        (timedelta(), "must be in the future"),
        (-timedelta(days=1), "must be in the future"),
        (LONGEST + timedelta(microseconds=1), "must be at most 30 days from now; edit the rule file for longer"),
    ],
    ids=str,
)
def test_a_time_that_is_past_or_too_far_away_names_its_field(lasts: timedelta, says: str) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidField) as refusal:
        check_expiry(now + lasts, now)
    assert (refusal.value.field, refusal.value.message) == ("expires_at", f"expires_at {says}")


def test_a_time_in_bounds_and_a_rules_id_pass() -> None:
    now = datetime.now(UTC)
    assert check_expiry(now + LONGEST, now) == now + LONGEST
    assert check_rule_id("many_cards") == "many_cards"
    with pytest.raises(InvalidField):
        check_rule_id("Many Cards")


@pytest.fixture
def rules(till: Till) -> Iterator[SnoozeRules]:
    live = sources(rule("any", "amount > 5", "action: block"))
    with till.engine.begin() as connection:
        release(connection, released_version(live), NewRelease(Role.LIVE, 100, "ada", "first"))
    with ThreadPoolExecutor(1) as threads:
        yield SnoozeRules(till.store._reads, ShortTransactions(till.engine, threads))


async def test_only_a_rule_of_the_live_ruleset_is_silenced(till: Till, rules: SnoozeRules) -> None:
    added = await rules.add(asked("any"))
    assert added in await standing(till, "any")
    for new, field in ((asked("anny"), "rule"), (asked("any", expires_at=datetime.now(UTC)), "expires_at")):
        with pytest.raises(InvalidField) as refusal:
            await rules.add(new)
        assert refusal.value.field == field
    assert (await rules.end(added.id, "Grace")).ended_by == "Grace"
    with pytest.raises(KassaError) as unknown:
        await rules.end(new_id(), "Grace")
    assert unknown.value.reason is Reason.SNOOZE_NOT_FOUND
