"""`kassa rules promote`, `rollback`, `history`, `replay`: what they write and print, and with which code they end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from fraud_rules import Sources, check_sources, read_sources
from server.cli import app
from server.domain.ids import Prefix, render_id
from server.domain.payment import FraudOutcome, Payment, State
from server.domain.rulesets import NewRelease, Role
from server.screening.gates import released_version
from server.storage.engine import Reads, make_engine
from server.storage.group_commit import GroupCommit
from server.storage.open_payments import Opened
from server.storage.payments import PaymentStore
from server.storage.reads import get_payment
from server.storage.rulesets import release
from tests.cluster import TEMPLATE, Cluster, Database
from tests.factories import make_payment
from tests.fraud_rules.rulefiles import rule, ruleset_text
from tests.screening.lineups import Bench, sources
from tests.screening.test_screen import break_engine, break_evaluator
from tests.storage.conftest import Till

RULES = sources(
    rule("often", 'count("payments", by="customer", within="1h") > 1', "score: 0.5"),
    rule("spent", 'sum("payments", by="customer", within="24h") > 50', "action: review"),
    rule("gift", 'description.startswith("gift")', "action: block"),
    rule("watched", "amount > 5", "action: block\n    mode: shadow"),
    rule("half", "amount > 5", "score: 0.1\n    percent: 50"),
)


@pytest.fixture(scope="module")
def whole(postgres: Cluster) -> Iterator[Database]:
    """A database of this module alone."""
    name = f"kassa_rules_{uuid4().hex}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)


@pytest.fixture
def own(whole: Database) -> Iterator[Database]:
    """The module's database, where nothing was ever released or decided."""
    yield whole
    engine = make_engine(whole.owner_url, 1)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE ruleset_releases, ruleset_versions, fraud_decisions"))
    engine.dispose()


@dataclass(frozen=True)
class Desk:
    """Somebody at a terminal."""

    database: Database
    folder: Path

    def file(self, limit: str, name: str = "rules.yaml") -> str:
        """Writes rules that block above a limit."""
        path = self.folder / name
        path.write_text(ruleset_text(rule("any", f"amount > {limit}", "action: block")), encoding="utf-8")
        return str(path)

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Runs `kassa rules …`; returns how it ended and all that it printed."""
        usual = {
            "COLUMNS": "300",
            "LOGNAME": "ada",
            "KASSA_DATABASE_URL": self.database.writer_url,
            "KASSA_DATABASE_READER_URL": self.database.reader_url,
        }
        result = CliRunner().invoke(app, ["rules", *arguments], env=usual | environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    def told(self, *arguments: str, code: int = 0) -> Any:
        """Runs it with --json, and reads what it says."""
        found, output = self.run(*arguments, "--json")
        assert found == code, output
        return json.loads(output)


@pytest.fixture
def desk(own: Database, tmp_path: Path) -> Desk:
    return Desk(own, tmp_path)


def hash_of(path: str) -> str:
    return check_sources(read_sources(path)).hash


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


@dataclass
class Counter:
    """Takes payments by the rules of `RULES`, as servers do."""

    till: Till
    bench: Bench

    def shadow(self, what: Sources) -> None:
        """Runs a ruleset in shadow from now on."""
        with self.till.engine.begin() as connection:
            release(connection, released_version(what), NewRelease(Role.SHADOW, 100, "ada", "watch"))
        self.bench.put(Role.SHADOW, what)

    async def pay(self, *, can_hold: bool = True, **changes: Any) -> Payment:
        """Opens a payment, decided inside of the opening transaction."""
        payment = make_payment(merchant_id=self.till.merchant, **changes)
        velocity, screen = self.bench.screening.prepare(payment, None, "UTC", "", can_hold=can_hold, can_challenge=True)
        row = replace(self.till.opening(payment, velocity=velocity), screen=screen)
        opened = await self.till.store.open_payment(row)
        assert isinstance(opened, Opened)
        return opened.payment


@pytest.fixture
async def counter(own: Database) -> AsyncIterator[Counter]:
    writers, readers = make_engine(own.writer_url, 3), make_engine(own.reader_url, 2)
    commit, reads = GroupCommit(writers, writers=2), Reads(readers, 2)
    bench = Bench()
    with writers.begin() as connection:
        release(connection, released_version(RULES), NewRelease(Role.LIVE, 100, "ada", "first"))
    bench.put(Role.LIVE, RULES)
    yield Counter(Till(PaymentStore(commit, reads), commit, writers), bench)
    bench.rulesets.close()
    await commit.close()
    reads.close()
    writers.dispose()
    readers.dispose()


async def replayed(desk: Desk, *arguments: str, code: int = 0) -> Any:
    return await asyncio.to_thread(desk.told, "replay", *arguments, code=code)


async def test_every_decision_is_replayed_bit_for_bit(desk: Desk, counter: Counter) -> None:
    paid = [await counter.pay() for _ in range(6)]
    paid.append(await counter.pay(description="gift card"))
    paid.append(await counter.pay(can_hold=False))
    paid.append(await counter.pay(currency="XAF", amount=70_000))
    outcomes = {one.fraud.outcome for one in paid if one.fraud is not None}
    assert outcomes == {FraudOutcome.ALLOW, FraudOutcome.REVIEW, FraudOutcome.BLOCK}
    no_shadows = {"replayed": 0, "differing": 0, "left_out": 0}
    told = await replayed(desk, "--last", "100")
    assert told == {"replayed": 9, "undecided": 0, "shadows": no_shadows, "differences": []}
    assert (await replayed(desk, "--last", "4"))["replayed"] == 4
    assert (await replayed(desk, "--since", "1h"))["replayed"] == 9
    assert (await replayed(desk, "--since", "2099-01-01"))["replayed"] == 0
    name = render_id(Prefix.PAYMENT, paid[0].id)
    assert (await replayed(desk, name))["replayed"] == 1
    code, output = await asyncio.to_thread(desk.run, "replay", name)
    assert (code, "1 decisions replayed, 0 differ." in output, "shadow" in output) == (0, True, False)


async def test_decisions_of_shadows_are_replayed_by_their_own_facts(desk: Desk, counter: Counter) -> None:
    when = 'distinct("ip", by="email", within="24h") >= 0 and amount > 5'
    counter.shadow(sources(rule("dark", when, "score: 0.25")))
    payment = await counter.pay()
    counter.shadow(sources(rule("darker", "amount > 6", "action: block")))
    await counter.pay()
    both = {"replayed": 2, "differing": 0, "left_out": 0}
    assert (await replayed(desk, "--last", "5"))["shadows"] == both
    code, output = await asyncio.to_thread(desk.run, "replay", "--last", "5")
    assert (code, "2 shadow decisions replayed, 0 differ." in output) == (0, True)
    with counter.till.engine.begin() as connection:
        spoil = """UPDATE fraud_decisions SET shadows = jsonb_set(shadows, '{0,facts}', '{}') WHERE payment_id = :id"""
        connection.execute(text(spoil), {"id": payment.id})
    told = await replayed(desk, "--last", "5", code=1)
    assert told["shadows"] == both | {"differing": 1}
    assert {one["payment"] for one in told["differences"]} == {render_id(Prefix.PAYMENT, payment.id)}
    assert payment.fraud is not None
    assert {one["difference"]["shadow"] for one in told["differences"]} == {payment.fraud.shadows[0].ruleset}
    code, output = await asyncio.to_thread(desk.run, "replay", "--last", "5")
    assert (code, "0 differ" in output, "2 shadow decisions replayed, 1 differ." in output) == (1, True, True)


async def test_shadows_without_their_facts_are_counted_and_left_out(desk: Desk, counter: Counter) -> None:
    counter.shadow(sources(rule("dark", "amount > 5", "score: 0.25")))
    await counter.pay()
    with counter.till.engine.begin() as connection:
        connection.execute(text("UPDATE fraud_decisions SET shadows = shadows #- '{0,facts}' #- '{0,backend}'"))
    told = await replayed(desk, "--last", "1")
    assert told["shadows"] == {"replayed": 0, "differing": 0, "left_out": 1}


async def test_a_decision_is_replayed_by_its_own_version_whatever_is_live_by_now(desk: Desk, counter: Counter) -> None:
    await counter.pay(description="gift card")
    await asyncio.to_thread(desk.run, "promote", desk.file("5"), "--reason", "another")
    assert (await replayed(desk, "--last", "1"))["differences"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("outcome = 'ALLOW'", "outcome"),
        ("score_thousandths = 1", "score"),
        ("rules = '[]'", "rules"),
        ("shadow_rules = '[]'", "shadow_rules"),
        ("facts = facts - 'amount_usd'", "facts.amount_usd"),
        ("facts = facts || '{\"hour\": true}'", "outcome"),
        ("ruleset = repeat('0', 64)", "version"),
    ],
)
async def test_whatever_was_changed_is_found(desk: Desk, counter: Counter, change: str, field: str) -> None:
    payment = await counter.pay(description="gift card")
    with counter.till.engine.begin() as connection:
        connection.execute(text(f"UPDATE fraud_decisions SET {change}"))
    told = await replayed(desk, "--last", "1", code=1)
    assert {one["payment"] for one in told["differences"]} == {render_id(Prefix.PAYMENT, payment.id)}
    assert field in {one["difference"]["field"] for one in told["differences"]}
    code, output = await asyncio.to_thread(desk.run, "replay", "--last", "1")
    assert (code, "1 differ" in output, field in output) == (1, True, True)


async def test_what_no_rules_decided_is_counted_and_not_compared(
    desk: Desk, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        break_engine(broken)
        evaluate = counter.bench.rulesets.lineup.live._evaluate
        break_evaluator(counter.bench.rulesets.lineup.live)
        payment = await counter.pay()
        counter.bench.rulesets.lineup.live._evaluate = evaluate
    assert (payment.state, payment.fraud and payment.fraud.backend) == (State.PROCESSING, "nobody")
    told = await replayed(desk, "--last", "1")
    assert (told["replayed"], told["undecided"], told["differences"]) == (0, 1, [])


async def test_a_payment_that_nobody_knows_is_a_finding(desk: Desk) -> None:
    code, output = await asyncio.to_thread(desk.run, "replay", render_id(Prefix.PAYMENT, uuid4()))
    assert (code, "no decision on such a payment" in output) == (1, True)


async def test_a_payment_is_explained_by_the_version_that_decided_it(desk: Desk, counter: Counter) -> None:
    payment = await counter.pay(description="gift card")
    name = render_id(Prefix.PAYMENT, payment.id)
    await asyncio.to_thread(desk.run, "promote", desk.file("5"), "--reason", "another")
    code, output = await asyncio.to_thread(desk.run, "explain", name)
    assert code == 0
    assert f"BLOCK by LIVE {released_version(RULES).hash[:12]} from cards.yaml, engine" in output
    for seen in ('description.startswith("gift")', "description = gift card", "count_payments_by_customer_1h = 0"):
        assert seen in output
    told = await asyncio.to_thread(desk.told, "explain", name)
    assert payment.fraud is not None
    assert told["decision"]["rules"] == list(payment.fraud.rules) == told["explanation"]["fired"]
    assert [rule["id"] for rule in told["explanation"]["rules"]] == ["often", "spent", "gift", "watched", "half"]
    unknown = render_id(Prefix.PAYMENT, uuid4())
    assert (await asyncio.to_thread(desk.run, "explain", unknown))[0] == 1
    assert (await asyncio.to_thread(desk.run, "explain", "pay_nonsense"))[0] == 2
    assert (await asyncio.to_thread(desk.run, "explain", name, "amount=5"))[0] == 2


def test_facts_by_hand_are_still_explained_by_a_file(desk: Desk) -> None:
    code, output = desk.run("explain", desk.file("5"), "amount=6", KASSA_DATABASE_URL="")
    assert (code, "BLOCK" in output, "amount = 6" in output) == (0, True, True)


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


async def test_decisions_keep_all_that_they_were_made_with(desk: Desk, counter: Counter) -> None:
    shadow = sources(rule("dark", "amount > 5", "score: 0.25"))
    counter.bench.put(Role.SHADOW, shadow)
    counter.bench.put(Role.CANDIDATE, sources(rule("new", "amount > 5", "score: 0.125")), 100)
    payment = await counter.pay()
    [row] = counter.till.query(
        "SELECT backend, role, ruleset, shadows FROM fraud_decisions WHERE merchant_id = :merchant"
    )
    assert payment.fraud is not None
    assert row[:3] == ("engine", "CANDIDATE", payment.fraud.ruleset)
    expected = {
        "outcome": "ALLOW",
        "rules": ["dark"],
        "score_thousandths": 250,
        "shadow_rules": [],
        "backend": "engine",
    }
    assert row[3] == [expected | {"ruleset": released_version(shadow).hash, "facts": {}, "without": []}]
    read = await counter.till.store.read(get_payment, payment.merchant_id, payment.id)
    assert read is not None and read.fraud == payment.fraud
