"""Screening as a server wires it: rules in force and everything that fails are shown to Prometheus."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DatabaseError

from fraud_rules import DEFAULT_RULES, RulesError
from server.bootstrap_fraud import RULES_LOOK_EVERY_S, SNOOZES_LOOK_EVERY_S, keep_following, open_screening
from server.bootstrap_reviews import open_lists
from server.domain.payment import FraudDecision, FraudOutcome
from server.domain.rulesets import NewRelease, Role, Version
from server.domain.snooze import NewSnooze
from server.screening.gates import released_version
from server.screening.screen import Screening
from server.settings import Settings
from server.storage.engine import Reads, make_engine
from server.storage.rulesets import release
from server.storage.short_transactions import ShortTransactions
from server.storage.snoozes import add_snooze, end_snooze
from server.usecases.follow_releases import FollowReleases
from tests.cluster import TEMPLATE, Cluster, Database
from tests.factories import make_payment
from tests.screening.lineups import blocks
from tests.screening.test_screen import break_engine, break_evaluator


@pytest.fixture
def own(postgres: Cluster) -> Iterator[Database]:
    """A database whose platform has no releases yet."""
    name = f"kassa_wired_{uuid4().hex}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)


@dataclass(frozen=True)
class Wired:
    """Screening, and what Prometheus reads of it."""

    screening: Screening
    transactions: ShortTransactions
    registry: CollectorRegistry

    def decide(self, **changes: Any) -> FraudDecision:
        _, screen = self.screening.prepare(make_payment(**changes), None, "UTC", "", can_hold=True, can_challenge=True)
        return screen({})[1]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def until(self, name: str, expected: float, **labels: str) -> None:
        """Waits for the server to follow, as it does by itself."""
        async with asyncio.timeout(30):
            while self.value(name, **labels) != expected:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def wired(database: Database, rules: Path, **changes: Any) -> AsyncIterator[Wired]:
    settings = Settings(
        **{
            "database_url": database.writer_url,
            "database_reader_url": database.reader_url,
            "secret_key": "s" * 32,
            "encryption_key": "ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU=",
            "rules_path": rules,
        }
        | changes
    )
    writers, readers = make_engine(database.writer_url, 1), make_engine(database.reader_url, 1)
    registry = CollectorRegistry()
    with ThreadPoolExecutor(1) as threads:
        reads, transactions = Reads(readers, 1), ShortTransactions(writers, threads)
        async with (
            open_lists(reads) as lists,
            open_screening(settings, reads, transactions, lists, registry) as screening,
        ):
            yield Wired(screening, transactions, registry)
        reads.close()
    writers.dispose()
    readers.dispose()


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return Path(shutil.copy(DEFAULT_RULES, tmp_path / "rules.yaml"))


async def test_the_rules_in_force_are_shown_and_followed(own: Database, rules: Path) -> None:
    async with wired(own, rules) as server:
        first = server.decide().ruleset
        assert server.value("kassa_ruleset_info", role="LIVE", hash=first) == 1
        version = released_version(blocks("all", "amount > 0"))
        await server.transactions.run(release, version, NewRelease(Role.LIVE, 100, "ada", "stop"))
        await server.until("kassa_ruleset_info", 1, role="LIVE", hash=version.hash)
        assert server.value("kassa_ruleset_info", role="LIVE", hash=first) is None
        assert server.decide().outcome is FraudOutcome.BLOCK
        for source in ("file", "LIVE", "CANDIDATE", "SHADOW"):
            assert server.value("kassa_rules_not_obeyed", source=source) == 0
            assert server.value("kassa_rules_rejected_total", source=source) == 0


async def test_an_edit_or_a_release_that_is_refused_is_shown(own: Database, rules: Path) -> None:
    async with wired(own, rules) as server:
        before = server.decide().ruleset
        sound = rules.read_text()
        rules.write_text(sound.replace("amount", "amuont"))
        await server.until("kassa_rules_rejected_total", 1, source="file")
        assert server.value("kassa_rules_not_obeyed", source="file") == 1
        garbage = Version("f" * 64, "garbage", b"{}")
        await server.transactions.run(release, garbage, NewRelease(Role.LIVE, 100, "ada", "oops"))
        await server.until("kassa_rules_not_obeyed", 1, source="LIVE")
        assert server.decide().ruleset == before
        rules.write_text(f"# Mended.\n{sound}")
        await server.until("kassa_rules_not_obeyed", 0, source="file")
        await server.until("kassa_rules_not_obeyed", 0, source="LIVE")


async def test_a_failing_back_end_raises_an_alarm(
    own: Database, rules: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with wired(own, rules) as server:
        for part in ("facts", "engine", "evaluator"):
            assert server.value("kassa_screening_failures_total", role="LIVE", part=part) == 0
        break_engine(monkeypatch)
        decision = server.decide()
        assert (decision.outcome, decision.backend) == (FraudOutcome.ALLOW, "evaluator")
        assert server.value("kassa_screening_failures_total", role="LIVE", part="engine") == 1
        break_evaluator(server.screening._rulesets.lineup.live)
        decision = server.decide()
        assert (decision.outcome, decision.backend) == (FraudOutcome.REVIEW, "nobody")
        assert server.value("kassa_screening_failures_total", role="LIVE", part="engine") == 2
        assert server.value("kassa_screening_failures_total", role="LIVE", part="evaluator") == 1
    assert "screening: the engine failed under LIVE ruleset" in caplog.text


async def test_the_threshold_of_the_settings_replaces_the_files(own: Database, rules: Path) -> None:
    large: dict[str, Any] = {"amount": 1_000_001}
    async with wired(own, rules) as server:
        assert server.decide(**large).outcome is FraudOutcome.ALLOW
    async with wired(own, rules, fraud_threshold=Decimal("0.3")) as server:
        assert server.decide(**large).outcome is FraudOutcome.BLOCK


@pytest.mark.parametrize("trouble", [OSError("no more processes"), DatabaseError("", {}, ValueError())])
async def test_trouble_does_not_end_the_following(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    monkeypatch.setattr("server.bootstrap_fraud.RULES_LOOK_EVERY_S", 0)
    looks = asyncio.Queue[None]()

    class Follow:
        async def look(self) -> None:
            looks.put_nowait(None)
            raise trouble

    following = asyncio.create_task(keep_following(cast(FollowReleases, Follow())))
    async with asyncio.timeout(10):
        for _ in range(3):
            await looks.get()
    following.cancel()


async def test_without_any_usable_rules_a_server_does_not_start(own: Database, rules: Path) -> None:
    rules.write_text("ruleset: [")
    with pytest.raises(RulesError):
        async with wired(own, rules):
            pass


async def test_a_snooze_is_obeyed_within_two_seconds_and_until_it_ends(own: Database, rules: Path) -> None:
    async with wired(own, rules) as server:
        version = released_version(blocks("all", "amount > 0"))
        await server.transactions.run(release, version, NewRelease(Role.LIVE, 100, "ada", "stop"))
        await server.until("kassa_ruleset_info", 1, role="LIVE", hash=version.hash)
        new = NewSnooze("all", "ada", "It fires on a campaign.", datetime.now(UTC) + timedelta(hours=1))
        snooze = await server.transactions.run(add_snooze, new)
        async with asyncio.timeout(10):
            while server.decide(created_at=datetime.now(UTC)).outcome is FraudOutcome.BLOCK:
                await asyncio.sleep(0.05)
        assert server.decide(created_at=datetime.now(UTC)).snoozed == ("all",)
        assert server.decide(created_at=snooze.expires_at).outcome is FraudOutcome.BLOCK
        await server.transactions.run(end_snooze, snooze.id, "grace")
        async with asyncio.timeout(10):
            while server.decide(created_at=datetime.now(UTC)).outcome is not FraudOutcome.BLOCK:
                await asyncio.sleep(0.05)


def test_servers_look_often_enough_to_obey_within_two_seconds() -> None:
    assert SNOOZES_LOOK_EVERY_S <= 1
    assert RULES_LOOK_EVERY_S <= 1
