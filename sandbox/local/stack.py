"""The whole gateway on this machine: Postgres, sandbox, servers, worker, Envoy. For `python -m sandbox.local`, tests.

`with LocalStack(home) as stack:` starts it; `stack.url`, `stack.demo` and `stack.child(name)` are what a client or a
test needs. The parts are called postgres, sandbox, server-1 …, worker and envoy.
"""

import fcntl
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2

from sandbox.local import parts
from sandbox.local.child import Child
from sandbox.local.credentials import Credentials, load_or_make
from sandbox.local.demo import Demo, ensure_demo, write_demo_env
from sandbox.local.ports import LOOPBACK, free_port, is_free
from sandbox.local.postgres import EmbeddedPostgres
from sandbox.local.supervisor import Supervisor, run_to_end


class StackError(Exception):
    """The stack cannot start; the text says why, and what to do."""


class LocalStack:
    """One stack; its state lies in `home` and is found there again by the next start.

    Attributes:
        site: addresses, DSNs and secrets, once it is started.
        postgres: the database server.
        demo: keys that work; in `demo.env` too.
    """

    site: parts.Site
    postgres: EmbeddedPostgres
    demo: Demo

    def __init__(  # noqa: PLR0913 - all but the folder have good defaults
        self,
        home: Path,
        *,
        port: int = 0,
        servers: int = 2,
        durable: bool = True,
        requests_per_key: int | None = None,
        requests_per_address: int | None = None,
        environment: Mapping[str, str] | None = None,
        sandbox_options: Sequence[str] = (),
        commit_proxy: bool = False,
        gateway: Sequence[str] = (),
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        """Only remembers its arguments; entering the context starts everything.

        Args:
            home: folder of everything that the stack keeps: secrets, database, books, logs, `demo.env`.
            port: where clients connect, by REST and gRPC; 0 takes a free one.
            servers: number of server processes.
            durable: False turns Postgres' fsync off and removes the database at the end.
            requests_per_key: rate limit of one API key, a second; None leaves Envoy's usual one.
            requests_per_address: the same for a client's address.
            environment: further variables for servers and worker, such as KASSA_RULES_PATH; `{part}` in a value stands
                for the name of the part.
            sandbox_options: further flags of `sandbox.serve`.
            gateway: command that takes the place of `kassa` for servers and worker.
            commit_proxy: puts what can lose connections during COMMIT between the gateway and Postgres.
            on_step: told what begins now, in a word or two.
        """
        self.home = home.resolve()
        self.port = port or free_port()
        self._servers = [f"server-{number}" for number in range(1, servers + 1)]
        self._durable = durable
        self._requests_per_key = requests_per_key
        self._requests_per_address = requests_per_address
        self._environment = dict(environment or {})
        self._sandbox_options = tuple(sandbox_options)
        self._commit_proxy = commit_proxy
        self._gateway = tuple(gateway)
        self._on_step = on_step
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._exit.close()

    @property
    def url(self) -> str:
        """Where REST clients connect."""
        return self.site.url

    @property
    def grpc(self) -> str:
        """`host:port` where gRPC clients connect."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """The processors' stand-ins: their books, faults and pages."""
        return self.site.sandbox_url

    def child(self, name: str) -> Child:
        """Returns the process of a part; its `pid` is the program's own."""
        return self._supervisor.child(name)

    def kill(self, name: str) -> None:
        """Ends a part with SIGKILL, as a crash would."""
        self.child(name).kill()

    def restart(self, name: str) -> None:
        """Starts a part (not Postgres) that has ended, at its old address, and waits until it serves."""
        self._supervisor.restart(name)

    def wait_for_end(self) -> None:
        """Waits until a part ends by itself, and raises PartFailed for it."""
        self._supervisor.wait_for_end()

    def _start(self) -> None:
        self._claim_home()
        if not is_free(self.port):
            raise StackError(
                f"Port {self.port} is taken: something listens on {LOOPBACK}:{self.port} already.\n"
                f"Stop it, or choose another port: KASSA_PORT={self.port + 1} make run"
            )
        credentials = load_or_make(self.home / "secrets.json")
        ports = self._choose_ports()
        self._supervisor = Supervisor(self.home / "log")
        self._start_postgres(credentials, ports["postgres"])
        door = ports[parts.COMMIT_PROXY if self._commit_proxy else "postgres"]
        databases = {
            role: self.postgres.dsn(parts.DATABASE, role, password, driver="psycopg2", port=door)
            for role, password in (
                (parts.OWNER, credentials.owner_password),
                (parts.WRITER, credentials.writer_password),
                (parts.READER, credentials.reader_password),
            )
        }
        self.site = parts.Site(self.home, self.port, ports, credentials, databases, self._environment)
        if self._gateway:
            self.site = replace(self.site, gateway=self._gateway)
        self._exit.callback(self._supervisor.stop)
        self._start_gateway()
        self._on_step("Demo merchant")
        self._make_demo()

    def _claim_home(self) -> None:
        """Keeps a second stack from running on the same folder; the kernel ends the claim with this process."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            claim = self._exit.enter_context((self.home / "lock").open("w"))
        except PermissionError as error:
            raise StackError(f"{error}: did another user run the stack from this folder?") from None
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"Another stack runs from {self.home}. Stop it, or give this one another folder: KASSA_HOME=…"
            ) from None

    def _choose_ports(self) -> dict[str, int]:
        """Keeps each part's port from start to start where it is still free: stored payments link to the sandbox."""
        path = self.home / "ports.json"
        known: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        watched = [parts.metrics_port(name) for name in (*self._servers, "worker")]
        names = ["postgres", "sandbox", "envoy-admin", *self._servers, *watched, parts.COMMIT_PROXY]
        ports = {name: known[name] if name in known and is_free(known[name]) else free_port() for name in names}
        path.write_text(json.dumps(ports), encoding="utf-8")
        return ports

    def _start_postgres(self, credentials: Credentials, port: int) -> None:
        self._on_step("Postgres")
        postgres = EmbeddedPostgres(
            self.home / "postgres",
            password=credentials.postgres_password,
            port=port,
            durable=self._durable,
            log=self._supervisor.log("postgres"),
        )
        self.postgres = self._exit.enter_context(postgres)
        try:
            postgres.ensure_database(parts.DATABASE, parts.OWNER, credentials.owner_password)
        except psycopg2.OperationalError as error:
            raise StackError(
                f"The database in {self.home / 'postgres'} does not take the password of {self.home / 'secrets.json'}; "
                f"they belong together. Restore that file, or begin anew: rm -r {self.home}\n{error}"
            ) from None
        self._supervisor.adopt(postgres.child)

    def _start_gateway(self) -> None:
        """Starts at once what may start at once, then waits for each in its order."""
        site, supervisor = self.site, self._supervisor
        if self._commit_proxy:
            supervisor.start(parts.commit_proxy(site))
            supervisor.wait_ready(parts.COMMIT_PROXY)
        supervisor.start(parts.sandbox(site, self._sandbox_options))
        self._migrate()
        self._on_step("Sandbox of Stripe and PayPal")
        supervisor.wait_ready("sandbox")
        self._on_step("Servers")
        for name in self._servers:
            supervisor.start(parts.server(site, name))
        edge = parts.envoy(
            site,
            self._servers,
            requests_per_key=self._requests_per_key,
            requests_per_address=self._requests_per_address,
        )
        supervisor.start(edge)
        for name in self._servers:
            supervisor.wait_ready(name)
        self._on_step("Worker and Envoy")
        supervisor.start(parts.worker(site))
        supervisor.wait_ready("envoy")

    def _migrate(self) -> None:
        """Runs the migrations unless these very ones have run on this database; the database itself remembers."""
        version = parts.schema_version()
        if self.postgres.note(parts.DATABASE) == version:
            return
        self._on_step("Migrations")
        run_to_end(parts.migrate(self.site), self._supervisor.log("migrate"))
        self.postgres.set_note(parts.DATABASE, version)

    def _make_demo(self) -> None:
        """Makes sure of keys that work, then writes `demo.env`, the last of all."""
        path = self.home / "demo.env"
        try:
            self.demo = ensure_demo(self.url, path, self._issue_platform_key)
        except OSError as error:
            self._supervisor.check_alive()
            raise StackError(f"{self.url} does not answer: {error}") from error
        self._supervisor.check_alive()
        operator = {
            "KASSA_DATABASE_URL": self.site.databases[parts.WRITER],
            "KASSA_DATABASE_READER_URL": self.site.databases[parts.READER],
            "KASSA_SECRET_KEY": self.site.credentials.secret_key,
            "KASSA_ENCRYPTION_KEY": self.site.credentials.encryption_key,
        }
        write_demo_env(path, self.demo, url=self.url, grpc=self.grpc, sandbox_url=self.sandbox_url, operator=operator)

    def _issue_platform_key(self) -> str:
        printed = run_to_end(parts.issue_platform_key(self.site), self._supervisor.log("platform-key"))
        return printed.splitlines()[-1]
