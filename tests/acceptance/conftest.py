"""Whole stacks on real parts: one shared by a worker's tests, and others for tests that break theirs."""

from collections.abc import Iterator

import pytest

from sandbox.local.stack import LocalStack
from tests.acceptance.shop import Shop
from tests.acceptance.stacks import Platform

NO_LIMIT = 100_000
"""The rate limit is tested with the edge; here it would only be in the way."""


def started(path: pytest.TempPathFactory, name: str, **how: object) -> LocalStack:
    """A stack in a folder of its own, with a database that nobody will miss."""
    limits = {"requests_per_key": NO_LIMIT, "requests_per_address": NO_LIMIT}
    return LocalStack(path.mktemp(name), durable=False, **limits, **how)  # type: ignore[arg-type]


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
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack whose tests break it; a processor's deadline of two seconds keeps leases and recovery short."""
    quick = {"KASSA_PROCESSOR_DEADLINE_S": "2", "KASSA_DRAIN_PAUSE_S": "3"}
    with started(tmp_path_factory, "breakable", environment=quick) as stack:
        yield stack


@pytest.fixture
def own_stack(breakable: LocalStack) -> Iterator[Platform]:
    """The breakable stack, whole at the beginning of the test."""
    platform = Platform(breakable)
    yield platform
    platform.heal()
    platform.revive()


@pytest.fixture
def single_server_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A stack with one server process."""
    with started(tmp_path_factory, "single", servers=1) as stack:
        yield Platform(stack)
