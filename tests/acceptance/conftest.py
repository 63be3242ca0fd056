"""Whole stacks on real parts: one shared by a worker's tests, and others for tests that break theirs."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fraud_rules import DEFAULT_RULES, check_sources, read_sources
from sandbox.local.stack import LocalStack
from tests.acceptance.shop import Shop, wait_until
from tests.acceptance.stacks import Platform


@dataclass(frozen=True)
class Breakable:
    """A stack and the rule file that its servers watch."""

    stack: LocalStack
    rules: Path


NO_LIMIT = 100_000
"""The rate limit is tested with the edge; here it would only be in the way."""


def started(path: pytest.TempPathFactory, name: str, **how: object) -> LocalStack:
    """A stack in a folder of its own; its database is one that nobody will miss, unless it must survive a crash."""
    usual = {"requests_per_key": NO_LIMIT, "requests_per_address": NO_LIMIT, "durable": False}
    return LocalStack(path.mktemp(name), **usual | how)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The stack that most tests share; nobody breaks it."""
    with started(tmp_path_factory, "stack") as stack:
        yield Platform(stack)


@pytest.fixture
def shop(platform: Platform) -> Shop:
    """A merchant of this test alone."""
    return platform.new_shop()


@pytest.fixture
def other_shop(platform: Platform) -> Shop:
    """Another merchant."""
    return platform.new_shop()


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """A stack whose tests break it; short deadlines keep leases and recovery short."""
    rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
    shutil.copy(DEFAULT_RULES, rules)
    settings = {
        "KASSA_PROCESSOR_DEADLINE_S": "5",
        "KASSA_LEASE_MARGIN_S": "7",
        "KASSA_DRAIN_PAUSE_S": "6",
        "KASSA_RULES_PATH": str(rules),
    }
    with started(tmp_path_factory, "breakable", durable=True, environment=settings) as stack:
        yield Breakable(stack, rules)
    # As root it lies elsewhere, behind a link, and nothing else would remove it.
    shutil.rmtree((stack.home / "postgres").resolve())


@pytest.fixture
def own_stack(breakable: Breakable) -> Iterator[Platform]:
    """The breakable stack, whole at the beginning of the test."""
    platform = Platform(breakable.stack)
    platform.revive()  # a stack that has just started may have a server that Envoy does not send to yet
    yield platform
    platform.heal()
    platform.revive()


@pytest.fixture
def rules_file(breakable: Breakable, own_stack: Platform) -> Iterator[Path]:
    """The rule file of the breakable stack, which its servers obey; as it was after the test."""
    before = breakable.rules.read_text()
    meant = check_sources(read_sources(breakable.rules)).hash
    wait_until(own_stack.rules_in_force, lambda hashes: hashes == {meant}, 90)  # an earlier test had another
    yield breakable.rules
    breakable.rules.write_text(before)


@pytest.fixture
def single_server_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A stack with one server process."""
    with started(tmp_path_factory, "single", servers=1) as stack:
        yield Platform(stack)
