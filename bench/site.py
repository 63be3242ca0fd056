"""The gateway as benchmarks measure it: realistic settings, a hundred merchants, and a processor that costs nothing.

Beside it, in the same cluster of Postgres, the database of a baseline.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg2
from psycopg2 import sql

from bench import stored as past
from bench.run import Load, Protocol, put
from bench.screening_rules import rule_file
from bench.stand_in import LATENCY
from bench.usage import Groups, memory_bytes
from sandbox.local.loopback_http import ask
from sandbox.local.parts import DATABASE, OWNER, READER, WRITER
from sandbox.local.ports import LOOPBACK
from sandbox.local.stack import LocalStack
from server.domain.ids import Prefix, parse_id, render_id
from server.storage.migrations import migrate

MERCHANTS: Final = 100
RULES: Final = 50
_UNLIMITED: Final = 1_000_000
_MOST_DOCUMENTS: Final = 2_000_000
"""Payments of a loaded past that have all their documents; a larger one goes without, or it would not fit a disk."""
Tell = Callable[[str], None]
"""Told what begins now, in some words."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running stack.

    Attributes:
        merchants: Their ids.
        keys: An API key of each of them.
        servers: Names of the server processes.
    """

    stack: LocalStack
    merchants: tuple[str, ...]
    keys: tuple[str, ...]
    servers: tuple[str, ...]

    @property
    def edge(self) -> tuple[tuple[str, int], ...]:
        """Where clients of REST connect, and of gRPC through Envoy."""
        return ((LOOPBACK, self.stack.port),)

    @property
    def backs(self) -> tuple[tuple[str, int], ...]:
        """Where gRPC clients inside of the platform connect: each server."""
        return tuple((LOOPBACK, self.stack.site.ports[name]) for name in self.servers)

    @property
    def groups(self) -> Groups:
        """Its processes, as the table counts them."""
        names = {"server": self.servers, "envoy": ("envoy",), "postgres": ("postgres",), "worker": ("worker",)}
        return {group: [self.stack.child(name).pid for name in members] for group, members in names.items()}

    def load(self, protocol: Protocol, **how: Any) -> Load:
        """Returns a load on it, of payments unless told otherwise."""
        return Load(protocol=protocol, targets=self.backs if protocol == "grpc" else self.edge, keys=self.keys, **how)

    def warm_up(self, protocol: Protocol = "grpc") -> None:
        """Takes payments for two seconds that are not typical, and then tells the planner of the tables.

        A young table is planned for as though it were nearly empty until autovacuum looks at it, within a minute.
        """
        put(self.load(protocol, clients=64, seconds=2.0), self.groups)
        _execute(self.stack.postgres.dsn(DATABASE), "ANALYZE")

    def memory_mb(self, *names: str) -> dict[str, float]:
        """Returns the resident memory of parts of the stack, of its servers unless others are named."""
        pids = {name: self.stack.child(name).pid for name in names or self.servers}
        return {name: round(memory_bytes(pid) / 1e6, 1) for name, pid in pids.items()}

    def some_payments(self, count: int = 2_000) -> list[tuple[int, str]]:
        """Returns payments that are there, oldest first: the index of the merchant's key, and the id."""
        place = {parse_id(Prefix.MERCHANT, one, "id"): index for index, one in enumerate(self.merchants)}
        found = query(self.stack, f"SELECT merchant_id::text, id::text FROM payments LIMIT {count}")
        pairs = ((UUID(str(merchant)), UUID(str(payment))) for merchant, payment in found)
        return [(place[merchant], render_id(Prefix.PAYMENT, one)) for merchant, one in pairs if merchant in place]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a stack that nobody will miss, removed at the end with the database that belongs to it."""
    with tempfile.TemporaryDirectory(prefix="kassa-bench-") as folder:
        home = Path(folder)
        try:
            yield home
        finally:
            # As root the database lies elsewhere, behind a link, and nothing else would remove it.
            for postgres in home.glob("**/postgres"):
                shutil.rmtree(postgres.resolve(), ignore_errors=True)


@contextmanager
def open_gateway(  # noqa: PLR0913 - all but the folder have good defaults
    home: Path, *, servers: int = 2, processor_s: float | None = 0.02, stored: int = 0,
    environment: Mapping[str, str] | None = None, tell: Tell = lambda step: None,
    gateway: tuple[str, ...] = (sys.executable, "-m", "bench.stand_in"),
) -> Iterator[Gateway]:  # fmt: skip
    """Starts everything in a folder, and stops it.

    Args:
        processor_s: Seconds that the stand-in inside of each server takes to answer; None takes the sandbox through the
            real adapter of Stripe.
        stored: Payments that are loaded into the database before servers start.
        environment: Further variables of servers and worker.
        gateway: Command of servers and worker where the processor is the stand-in.
    """
    home.mkdir(parents=True, exist_ok=True)
    rules = home / "rules.yaml"
    rules.write_text(rule_file(RULES), encoding="utf-8")
    variables = {"KASSA_RULES_PATH": str(rules), **(environment or {})}
    if processor_s is not None:
        variables[LATENCY] = str(processor_s)

    def step(name: str) -> None:
        tell(name)
        if name == "Servers" and stored:  # the schema is there, and nobody writes yet
            tell(f"A past of {stored:,} payments")
            past.load(stack.postgres.dsn(DATABASE), stored, documents=stored <= _MOST_DOCUMENTS)

    stack = LocalStack(
        home,
        servers=servers,
        environment=variables,
        gateway=() if processor_s is None else gateway,
        requests_per_key=_UNLIMITED,
        requests_per_address=_UNLIMITED,
        on_step=step,
    )
    with stack:
        tell("Merchants and their keys")
        merchants, keys = _make_keys(stack)
        yield Gateway(stack, merchants, keys, tuple(f"server-{number + 1}" for number in range(servers)))


def _make_keys(stack: LocalStack) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Gives a key to each merchant of a stack, after making those that are missing; returns merchants and keys."""
    key = stack.demo.platform_key
    for number in range(len(merchants := _merchants(stack)), MERCHANTS):
        merchant = {"name": f"Shop {number}", "test_mode": True, "country": "US"}
        merchants.append(_create(f"{stack.url}/v1/merchants", merchant, key)["id"])
    chosen = tuple(merchants[:MERCHANTS])
    keys = (_create(f"{stack.url}/v1/merchants/{one}/api_keys", {"name": "bench"}, key)["secret"] for one in chosen)
    return chosen, tuple(keys)


def _merchants(stack: LocalStack) -> list[str]:
    found, token = [], ""
    while True:
        status, page = ask(f"{stack.url}/v1/merchants?page_size=100&page_token={token}", bearer=stack.demo.platform_key)
        assert status == 200, page
        found += [one["id"] for one in page.get("merchants", ()) if one["id"] != stack.demo.merchant_id]
        token = page.get("next_page_token", "")
        if not token:
            return found


def _create(url: str, body: dict[str, object], key: str) -> dict[str, str]:
    status, answer = ask(url, body=body, bearer=key)
    if status not in (200, 201):
        raise RuntimeError(f"POST {url} answered {status}: {answer}")
    return dict(answer)


def query(stack: LocalStack, statement: str) -> list[tuple[object, ...]]:
    """Reads the gateway's database as its superuser."""
    connection = psycopg2.connect(stack.postgres.dsn(DATABASE))
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    finally:
        connection.close()


def _execute(dsn: str, statement: str | sql.Composable) -> None:
    connection = psycopg2.connect(dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def make_database(stack: LocalStack, name: str) -> str:
    """Makes an empty database in the stack's cluster, which its owner's role owns; returns that role's DSN."""
    statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER))
    _execute(stack.postgres.dsn(), statement)
    return _elsewhere(stack, OWNER, name)


def make_rows_database(stack: LocalStack) -> str:
    """Makes a migrated database for `bench.pgbench`; returns the writer's DSN."""
    owner = make_database(stack, "rows")
    writer, reader = (_elsewhere(stack, role, "rows") for role in (WRITER, READER))
    migrate(owner, writer, reader)
    return writer


def _elsewhere(stack: LocalStack, role: str, database: str) -> str:
    return stack.site.databases[role].removesuffix(DATABASE) + database
