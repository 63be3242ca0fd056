"""The run's shared cluster: who may what in it, and that it ends when its last user does."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from tests.cluster import Cluster, Database
from tests.local.processes import ends, kill_hard, start_script

USER = """
import signal, sys
from pathlib import Path
from tests.cluster import joined
with joined(Path(sys.argv[1])) as cluster:
    print(cluster.port, flush=True)
    signal.pause()
"""


def connect(url: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(url.replace("+psycopg2", ""))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kassa-cluster-") as name:
        yield Path(name)


def keeper_of(folder: Path) -> psutil.Process:
    (keeper,) = (
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [])[-2:] == ["tests.cluster", str(folder)]
    )
    return keeper


@pytest.mark.parametrize("role", ["owner_url", "writer_url", "reader_url"])
def test_each_role_reads_the_migrated_database(database: Database, role: str) -> None:
    with closing(connect(getattr(database, role))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM payments LIMIT 0")
        assert cursor.rowcount == 0


def test_only_the_owner_may_change_the_schema(database: Database) -> None:
    refused = pytest.raises(psycopg2.errors.InsufficientPrivilege)
    with closing(connect(database.writer_url)) as connection, connection.cursor() as cursor, refused:
        cursor.execute("CREATE TABLE intruder (id int)")


def test_a_new_database_is_empty_and_belongs_to_the_owner(postgres: Cluster) -> None:
    fresh = postgres.create_database("fresh")
    with closing(connect(fresh.owner_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.rowcount == 0
        cursor.execute("CREATE TABLE mine (id int)")
    postgres.drop_database("fresh")


def test_it_ends_when_its_last_user_is_killed(folder: Path) -> None:
    first, second = (start_script(USER, folder) for _ in range(2))
    ports = [process.stdout.readline() for process in (first, second) if process.stdout]
    assert ports[0] == ports[1]
    keeper = keeper_of(folder)
    server = keeper.children()[0]
    kill_hard(first)
    assert keeper.is_running()
    kill_hard(second)
    assert ends(keeper.pid)
    assert ends(server.pid)
    assert not (folder / "postgres").exists()
