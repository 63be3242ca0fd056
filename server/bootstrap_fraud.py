"""Wires fraud screening and the commands that release rules. Called by `bootstrap` for servers, and by `rules_cli`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from fraud_rules import DEFAULT_RULES, ScreeningFailure, Sources
from server.clock import utc_now
from server.domain.errors import KassaError
from server.domain.rulesets import Role, Version
from server.metrics import RulesMetrics
from server.screening.gates import Gates, released_version
from server.screening.lookups import load_tables
from server.screening.rulesets import Rulesets
from server.screening.runtime_lists import ListSnapshots
from server.screening.screen import Screening, refuse_unservable
from server.screening.snoozes import SnoozeSnapshots
from server.screening.watched_file import WatchedFile
from server.settings import DatabaseSettings, Settings
from server.storage.engine import Reads, make_engine
from server.storage.short_transactions import ShortTransactions
from server.storage.snoozes import read_snoozes, snoozes_changed_at
from server.storage.velocity import servable
from server.usecases.follow_releases import FollowReleases
from server.usecases.release_rules import ReleaseRules
from server.usecases.snooze_rules import SnoozeRules

RULES_LOOK_EVERY_S = 0.5
"""What is released or edited is to be obeyed within two seconds, and its trial takes half a second."""

SNOOZES_LOOK_EVERY_S = 1.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_screening(
    settings: Settings, reads: Reads, transactions: ShortTransactions, lists: ListSnapshots, registry: CollectorRegistry
) -> AsyncIterator[Screening]:
    """Brings the rules in force and follows what is released and edited, until the block ends.

    Raises:
        RulesError: Neither the database nor the rule file has rules that can be used.
        TableError: The table of BINs or of addresses is not sound.
    """
    tables = load_tables(settings.bin_table_path, settings.ip_table_path)
    metrics = RulesMetrics(registry)
    gates = Gates(
        refuse_unservable(servable),
        partial(_alarm, metrics),
        block_threshold=None if settings.fraud_threshold is None else int(settings.fraud_threshold * 1000),
    )
    watched = WatchedFile(settings.rules_path or DEFAULT_RULES)
    with closing(Rulesets(gates)) as rulesets:
        follow = FollowReleases(reads, transactions, rulesets, watched, metrics)
        await follow.begin()
        snoozes = SnoozeSnapshots(lambda: reads.run(snoozes_changed_at), lambda: reads.run(read_snoozes))
        await look_for_snoozes(snoozes)
        # Apart from the releases, whose trials take their time.
        tasks = [asyncio.create_task(keep_following(follow)), asyncio.create_task(_keep_following_snoozes(snoozes))]
        for following in tasks:
            following.add_done_callback(_tell_the_end)
        try:
            yield Screening(rulesets, lambda: lists.current, tables, snoozes.at)
        finally:
            for following in tasks:
                following.cancel()


@dataclass(frozen=True, slots=True)
class RulesDesk:
    """What commands about released rules work with."""

    rules: ReleaseRules
    snoozes: SnoozeRules
    reads: Reads


@asynccontextmanager
async def open_rules_desk(settings: DatabaseSettings) -> AsyncIterator[RulesDesk]:
    """Opens a few connections for one command."""
    with ExitStack() as stack:
        writers = make_engine(settings.database_url.get_secret_value(), 1)
        readers = make_engine(settings.database_reader_url.get_secret_value(), 1, alone=True)
        stack.callback(readers.dispose)
        stack.callback(writers.dispose)
        threads = stack.enter_context(ThreadPoolExecutor(1))
        reads = Reads(readers, 1)
        stack.callback(reads.close)
        transactions = ShortTransactions(writers, threads)
        yield RulesDesk(ReleaseRules(reads, transactions), SnoozeRules(reads, transactions), reads)


def pass_gates(sources: Sources) -> Version:
    """Passes sources through every gate that servers have; takes a second.

    Raises:
        RulesError: A gate is closed.
    """
    gates = Gates(refuse_unservable(servable), lambda *_: None)
    gates.load(sources, Role.LIVE).close()
    return released_version(sources)


async def keep_following(follow: FollowReleases) -> None:
    """Looks until it is cancelled; while the database or this machine is in trouble, the rules in force stay."""
    while True:
        await asyncio.sleep(RULES_LOOK_EVERY_S)
        try:
            await follow.look()
        except (KassaError, SQLAlchemyError, OSError) as trouble:  # a machine may have no process left for a trial
            _log.warning("the rules stay as they are: %s", trouble)


async def look_for_snoozes(snoozes: SnoozeSnapshots) -> None:
    """Takes up what was snoozed or ended; while the database is in trouble, what is known counts until its own end."""
    try:
        if await snoozes.refresh():
            _log.info("snoozed rules have changed: %s", ", ".join(sorted(snoozes.at(utc_now()))) or "none is silent")
    except KassaError as trouble:
        _log.warning("snoozed rules stay as they are: %s", trouble)


async def _keep_following_snoozes(snoozes: SnoozeSnapshots) -> None:
    while True:
        await asyncio.sleep(SNOOZES_LOOK_EVERY_S)
        await look_for_snoozes(snoozes)


def _tell_the_end(following: "asyncio.Task[None]") -> None:
    if not following.cancelled() and following.exception() is not None:
        _log.critical("this server follows releases or snoozes no more: restart it", exc_info=following.exception())


def _alarm(metrics: RulesMetrics, role: Role, failure: ScreeningFailure) -> None:
    """Payments go on, decided by the stand-in or held for review; somebody must look at why."""
    metrics.screening_failed(role, failure.part)
    ruleset = failure.ruleset_hash[:12]
    _log.error("screening: the %s failed under %s ruleset %s: %s", failure.part, role.value, ruleset, failure.detail)
