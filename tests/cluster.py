"""One Postgres cluster for a whole test run, shared by its processes; `tests/conftest.py` joins it.

The cluster belongs to a keeper, a process of its own (`python -m tests.cluster FOLDER`). Whoever uses the cluster holds
a shared lock on a file; the keeper waits for that lock exclusively, gets it when the last user is gone, and stops.
The kernel releases the locks of a killed process, so nothing is left behind however a run ends.
"""

import fcntl
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg2
from psycopg2 import sql

from sandbox.local.ports import LOOPBACK
from sandbox.local.postgres import SUPERUSER, EmbeddedPostgres
from server.storage.migrations import migrate

TEMPLATE = "kassa_template"
_ROLES = ("kassa_owner", "kassa_writer", "kassa_reader")


@dataclass(frozen=True, slots=True)
class Database:
    """The three DSNs of one database, for SQLAlchemy on psycopg2."""

    name: str
    owner_url: str
    writer_url: str
    reader_url: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The running cluster: every role, the superuser too, has the same password."""

    port: int
    password: str

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, *, driver: str = "") -> str:
        """Returns the URL of a database over TCP; `driver` is SQLAlchemy's, without it the URL is for libpq."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{user}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def database(self, name: str) -> Database:
        """Returns the DSNs of a database, whether it exists or not."""
        return Database(name, *(self.dsn(name, role, driver="psycopg2") for role in _ROLES))

    def execute(self, statement: sql.Composable) -> None:
        """Runs one statement as superuser, outside any transaction."""
        connection = psycopg2.connect(self.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def create_database(self, name: str, template: str = "template0") -> Database:
        """Creates a database that the owner's role owns; an empty one unless a template is named."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY wal_log")
        self.execute(statement.format(sql.Identifier(name), sql.Identifier(_ROLES[0]), sql.Identifier(template)))
        return self.database(name)

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is connected."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def joined(folder: Path) -> Iterator[Cluster]:
    """Uses the cluster of `folder` for the block; the first to come starts it and migrates the template."""
    folder.mkdir(exist_ok=True)
    with _locked(folder / "users", fcntl.LOCK_SH):
        with _locked(folder / "door", fcntl.LOCK_EX):
            state = folder / "cluster.json"
            if not state.exists():
                _start_keeper(folder)
            cluster = Cluster(**json.loads(state.read_text(encoding="utf-8")))
        yield cluster


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[IO[str]]:
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, kind)
        yield file


def _start_keeper(folder: Path) -> None:
    with (folder / "keeper.log").open("w", encoding="utf-8") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert keeper.stdout is not None
    with keeper.stdout:
        ready = keeper.stdout.readline()
    if ready != "ready\n":
        keeper.wait()
        raise RuntimeError("the test cluster did not start:\n" + (folder / "keeper.log").read_text(encoding="utf-8"))
    # It outlives this process; a later wait would say nothing of use.
    keeper.returncode = 0


def _keep(folder: Path) -> None:
    """Runs the cluster until nobody uses it any more."""
    password = secrets.token_hex(16)
    with EmbeddedPostgres(folder / "postgres", password=password, durable=False) as postgres:
        postgres.ensure_database(TEMPLATE, _ROLES[0], password)
        cluster = Cluster(postgres.port, password)
        template = cluster.database(TEMPLATE)
        migrate(template.owner_url, template.writer_url, template.reader_url)
        state = folder / "cluster.json"
        state.write_text(json.dumps({"port": cluster.port, "password": password}), encoding="utf-8")
        print("ready", flush=True)
        with _locked(folder / "users", fcntl.LOCK_EX):
            state.unlink()
            postgres.stop()


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
