"""The gateway as benchmarks measure it: realistic settings, a hundred merchants, and a processor that costs nothing."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2

from bench.screening_rules import rule_file
from bench.stand_in import LATENCY
from bench.usage import Groups
from sandbox.local.loopback_http import ask
from sandbox.local.ports import LOOPBACK
from sandbox.local.stack import LocalStack

MERCHANTS: Final = 100
RULES: Final = 50
_UNLIMITED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running stack.

    Attributes:
        keys: An API key of each merchant.
        servers: Names of the server processes.
    """

    stack: LocalStack
    keys: tuple[str, ...]
    servers: tuple[str, ...]

    @property
    def edge(self) -> tuple[tuple[str, int], ...]:
        """Where REST clients connect."""
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


@contextmanager
def open_gateway(
    home: Path, *, servers: int = 2, processor_s: float | None = 0.02, environment: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """Starts everything in a folder, and stops it.

    Args:
        processor_s: Seconds that the stand-in inside of each server takes to answer; None takes the sandbox through the
            real adapter of Stripe.
    """
    home.mkdir(parents=True, exist_ok=True)
    rules = home / "rules.yaml"
    rules.write_text(rule_file(RULES), encoding="utf-8")
    variables = {"KASSA_RULES_PATH": str(rules), **(environment or {})}
    if processor_s is not None:
        variables[LATENCY] = str(processor_s)
    stack = LocalStack(
        home,
        servers=servers,
        environment=variables,
        gateway=() if processor_s is None else (sys.executable, "-m", "bench.stand_in"),
        requests_per_key=_UNLIMITED,
        requests_per_address=_UNLIMITED,
    )
    with stack:
        yield Gateway(stack, _make_keys(stack), tuple(f"server-{number + 1}" for number in range(servers)))


def _make_keys(stack: LocalStack) -> tuple[str, ...]:
    """Gives a key to each merchant of a stack, after making those that are missing."""
    key = stack.demo.platform_key
    for number in range(len(merchants := _merchants(stack)), MERCHANTS):
        merchant = {"name": f"Shop {number}", "test_mode": True, "country": "US"}
        merchants.append(_create(f"{stack.url}/v1/merchants", merchant, key)["id"])
    return tuple(
        _create(f"{stack.url}/v1/merchants/{merchant}/api_keys", {"name": "bench"}, key)["secret"]
        for merchant in merchants[:MERCHANTS]
    )


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


def query(stack: LocalStack, sql: str) -> list[tuple[object, ...]]:
    """Reads the gateway's database as its superuser."""
    connection = psycopg2.connect(stack.postgres.dsn("kassa"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())
    finally:
        connection.close()
