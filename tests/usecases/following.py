"""A server as far as it follows rules, over a real database; tests look when they want it to."""

import os
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text

from fraud_rules import Sources, read_sources
from server.domain.payment import FraudDecision, FraudOutcome
from server.domain.rulesets import NewRelease, Role
from server.screening.gates import Gates, released_version
from server.screening.rulesets import Rulesets
from server.screening.screen import Screening, refuse_unservable
from server.screening.watched_file import WatchedFile
from server.storage import rulesets as storage
from server.storage.engine import Reads, make_engine
from server.storage.short_transactions import ShortTransactions
from server.storage.velocity import servable
from server.usecases.follow_releases import FollowReleases
from tests.cluster import Database
from tests.factories import make_payment
from tests.fraud_rules.rulefiles import rule, ruleset_text

_clock = count(1_700_000_000)
NOWHERE = "postgresql+psycopg2://nobody:x@127.0.0.1:1/nothing"


def nothing_tried(_: Sources, __: int | None) -> None:
    """The trial in a child process is half a second; one test here pays for it."""


@dataclass
class Seen:
    """What metrics would show."""

    hashes: Mapping[Role, str] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    not_obeyed: Collection[str] = ()

    def rules_in_force(self, hashes: Mapping[Role, str]) -> None:
        self.hashes = dict(hashes)

    def rules_rejected(self, source: str) -> None:
        self.rejected.append(source)

    def rules_not_obeyed(self, sources: Collection[str]) -> None:
        self.not_obeyed = set(sources)


@dataclass
class Server:
    """One server process, as far as it follows rules."""

    follow: FollowReleases
    rulesets: Rulesets
    transactions: ShortTransactions
    seen: Seen

    async def release(self, what: Sources, role: Role = Role.LIVE, percent: int = 100) -> str:
        """Releases sources, as somebody at a terminal would."""
        version = released_version(what)
        await self.transactions.run(storage.release, version, NewRelease(role, percent, "ada", "because"))
        return version.hash

    def decide(self, **changes: Any) -> FraudDecision:
        """Screens a payment of 19.99 dollars."""
        _, screen = Screening(self.rulesets).prepare(make_payment(**changes), None, "UTC", "", can_hold=True)
        return screen({})[1]

    @property
    def blocks(self) -> bool:
        return self.decide().outcome is FraudOutcome.BLOCK

    @property
    def live(self) -> str:
        return self.rulesets.hashes()[Role.LIVE]


def write(path: Path, limit: str) -> Path:
    """Writes rules that block above the limit, with a time stamp of its own whatever the file system's resolution."""
    path.write_text(ruleset_text(rule("any", f"amount > {limit}", "action: block")), encoding="utf-8")
    stamp = next(_clock)
    os.utime(path, (stamp, stamp))
    return path


def above(path: Path, limit: str) -> Sources:
    """Rules as of a file elsewhere."""
    path.mkdir(exist_ok=True)
    return read_sources(write(path / "elsewhere.yaml", limit))


@asynccontextmanager
async def server_at(
    database: Database, path: Path, *, begun: bool = True, reader_url: str | None = None, **gates: Any
) -> AsyncIterator[Server]:
    """A server that has begun, but looks only when told to."""
    writers, readers = make_engine(database.writer_url, 2), make_engine(reader_url or database.reader_url, 2)
    threads, reads = ThreadPoolExecutor(2), Reads(readers, 2)
    transactions, seen = ShortTransactions(writers, threads), Seen()
    how: dict[str, Any] = {"trial": nothing_tried} | gates
    rulesets = Rulesets(Gates(refuse_unservable(servable), lambda *_: None, **how))
    server = Server(
        FollowReleases(reads, transactions, rulesets, WatchedFile(path), seen), rulesets, transactions, seen
    )
    try:
        if begun:
            await server.follow.begin()
        yield server
    finally:
        rulesets.close()
        reads.close()
        threads.shutdown()
        writers.dispose()
        readers.dispose()


def query(database: Database, sql: str) -> list[tuple[Any, ...]]:
    engine = make_engine(database.reader_url, 1)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return found
