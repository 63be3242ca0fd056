"""Somebody at a terminal, `kassa rules …`, over a database where nothing was released or decided yet."""

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
from server.domain.payment import Payment
from server.domain.rulesets import NewRelease, Role
from server.screening.gates import released_version
from server.storage.engine import Reads, make_engine
from server.storage.group_commit import GroupCommit
from server.storage.open_payments import Opened
from server.storage.payments import PaymentStore
from server.storage.rulesets import release
from tests.cluster import TEMPLATE, Cluster, Database
from tests.factories import make_payment
from tests.fraud_rules.rulefiles import rule, ruleset_text
from tests.screening.lineups import Bench, sources
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
        connection.execute(text("TRUNCATE ruleset_releases, ruleset_versions, fraud_decisions, rule_snoozes"))
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
    alone = make_engine(own.writer_url, 3, alone=True)
    commit, reads = GroupCommit(alone, writers=2), Reads(readers, 2)
    bench = Bench()
    with writers.begin() as connection:
        release(connection, released_version(RULES), NewRelease(Role.LIVE, 100, "ada", "first"))
    bench.put(Role.LIVE, RULES)
    yield Counter(Till(PaymentStore(commit, reads), commit, writers), bench)
    bench.rulesets.close()
    await commit.close()
    reads.close()
    alone.dispose()
    writers.dispose()
    readers.dispose()


async def replayed(desk: Desk, *arguments: str, code: int = 0) -> Any:
    return await asyncio.to_thread(desk.told, "replay", *arguments, code=code)
