"""One payment that the gateway itself made, beside one that pgbench wrote into the same database."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any
from uuid import UUID

import pytest

from bench.buyers import MERCHANTS, merchant_id, order
from bench.pgbench import write_payments
from sandbox.local.parts import WRITER
from sandbox.local.stack import LocalStack
from tests.acceptance.stacks import Platform, merchant_uuid

ELSEWHERE = {"processor_events", "api_keys", "merchants", "processor_accounts"}
"""A webhook is stored in a transaction of its own, and the others come before any payment."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Written:
    """The rows of one payment by table; `_size` of a row is its bytes as Postgres keeps it."""

    tables: dict[str, list[Row]]

    @property
    def payment(self) -> tuple[UUID, UUID]:
        """Its merchant and its id."""
        [row] = self.tables["payments"]
        return UUID(row["merchant_id"]), UUID(row["id"])

    def size(self, table: str) -> float:
        """Bytes of a row of the table on average."""
        return fmean(row["_size"] for row in self.tables[table])


@dataclass(frozen=True)
class Both:
    """What the gateway wrote and what pgbench did."""

    gateway: Written
    pgbench: Written
    writer_url: str
    program: Path


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """One payment of each."""
    with LocalStack(tmp_path_factory.mktemp("stack"), servers=1, durable=False) as stack:
        platform = Platform(stack)
        shop, program = platform.new_shop(), stack.postgres.program("pgbench")
        response = shop.pay(order(1))
        assert response.status_code == 201, response.text
        writer = stack.site.databases[WRITER]
        write_payments(program, writer, 1)
        ours = [str(merchant_id(number)) for number in range(1, MERCHANTS + 1)]
        yield Both(_written(platform, [merchant_uuid(shop)]), _written(platform, ours), writer, program)


def _written(platform: Platform, merchants: list[str]) -> Written:
    tables = platform.query("""
        SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t
            USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND c.column_name = 'merchant_id' AND t.table_type = 'BASE TABLE'
    """)
    found = {}
    for table in sorted({name for (name,) in tables} - ELSEWHERE):
        sized = f"SELECT to_jsonb(t) || jsonb_build_object('_size', pg_column_size(t.*)) FROM {table} t"
        rows = platform.query(f"{sized} WHERE merchant_id = ANY(%s::uuid[])", merchants)
        if rows:
            found[table] = [row for (row,) in rows]
    return Written(found)


@pytest.fixture(scope="session")
def grpc_port() -> Iterator[int]:
    """Where `tests.bench.grpc_server` listens."""
    command = [sys.executable, "-m", "tests.bench.grpc_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
