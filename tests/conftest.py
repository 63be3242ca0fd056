"""Fixtures for every test: the run's Postgres cluster and this process's own migrated database in it."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.cluster import TEMPLATE, Cluster, Database, joined

# How long an example takes says something of the machine, and nothing of what is tested.
settings.register_profile("kassa", deadline=None)
settings.load_profile("kassa")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The run's Postgres: one cluster without fsync, shared by all xdist workers. Make databases in it at will."""
    folder = tmp_path_factory.getbasetemp()
    # Each worker has a folder of its own below the run's.
    run = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with joined(run / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def database(postgres: Cluster) -> Iterator[Database]:
    """A migrated database for this worker alone; tests keep apart by using merchants of their own."""
    name = f"kassa_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)
