"""The baseline writes what the gateway writes: no less, else it would look too fast, and no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from bench.pgbench import PgbenchError, parse_report, run, write_payments
from server.storage.book_checks import CHECKS, run_check
from server.storage.engine import make_engine
from tests.bench.conftest import Both, Row
from tests.cluster import Cluster, Database

COUNTERS = "velocity_counters"
REPORT = """\
transaction type: payment.sql
number of transactions actually processed: 4021
number of failed transactions: 0 (0.000%)
latency average = 7.957 ms
initial connection time = 14.1 ms
tps = 1005.249 (without initial connection time)
"""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = make_engine(url, 1, alone=True)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def keys(value: Any) -> Any:
    """A document without its values."""
    return {name: keys(one) for name, one in value.items()} if isinstance(value, dict) else None


def mark(value: Any) -> Any:
    """What of a column must agree: the keys of a document, else whether anything is there."""
    return keys(value) if isinstance(value, dict) else bool(value)


def marks(rows: list[Row]) -> list[str]:
    return sorted(str({name: mark(value) for name, value in sorted(row.items())}) for row in rows)


def counts(tables: dict[str, list[Row]]) -> dict[str, int]:
    found = {table: len(rows) for table, rows in tables.items()}
    # Whoever counts at the same time makes Postgres count in another row of the same bucket.
    found[COUNTERS] = len({(row["dimension"], row["value"], row["start_s"]) for row in tables[COUNTERS]})
    return found


def test_it_writes_as_many_rows_into_each_table_as_the_gateway(both: Both) -> None:
    assert counts(both.pgbench.tables) == counts(both.gateway.tables)


def test_it_fills_the_same_columns_and_documents_as_the_gateway(both: Both) -> None:
    tables = both.gateway.tables.keys() - {COUNTERS}
    assert {table: marks(both.pgbench.tables[table]) for table in tables} == {
        table: marks(both.gateway.tables[table]) for table in tables
    }


def test_its_rows_are_as_large_as_the_gateways(both: Both) -> None:
    ratios = {table: both.pgbench.size(table) / both.gateway.size(table) for table in both.gateway.tables}
    assert {table: ratio for table, ratio in ratios.items() if not 0.85 <= ratio <= 1.15} == {}


def test_its_payments_stand_in_the_books_as_the_gateways_do(both: Both) -> None:
    with connected(both.writer_url) as connection:
        payments = [both.pgbench.payment, both.gateway.payment]
        assert [run_check(connection, check, payments) for check in CHECKS] == [[] for _ in CHECKS]


def test_it_reports_what_was_written(postgres: Cluster, both: Both) -> None:
    name = "bench_pgbench"
    database = postgres.create_database(name, "kassa_template")
    try:
        result = run(both.program, database.writer_url, seconds=1, clients=2)
        with connected(database.writer_url) as connection:
            [(settled,)] = connection.exec_driver_sql("SELECT count(*) FROM payments WHERE state = 'COMPLETED'").all()
        assert result.payments == settled > 0
        assert result.payments_per_s > 0
        assert result.latency_ms > 0
    finally:
        postgres.drop_database(name)


def test_it_reads_what_pgbench_prints() -> None:
    result = parse_report(REPORT)
    assert (result.payments, result.payments_per_s, result.latency_ms) == (4021, 1005.249, 7.957)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (REPORT.replace("failed transactions: 0 (0.000%)", "failed transactions: 3 (0.075%)"), "3 of .* failed"),
        (REPORT.replace("processed: 4021", "processed: 0"), "wrote no payment"),
        (REPORT.replace("tps = ", ""), "does not say its payments per s"),
    ],
)
def test_a_report_of_failures_is_an_error_and_no_result(printed: str, said: str) -> None:
    with pytest.raises(PgbenchError, match=said):
        parse_report(printed)


def test_what_postgres_refuses_is_told_in_its_words(postgres: Cluster, both: Both) -> None:
    with pytest.raises(PgbenchError, match='relation "idempotency_keys" does not exist'):
        write_payments(both.program, postgres.dsn(), 1)


def test_a_program_that_is_not_there_is_an_error(database: Database, both: Both) -> None:
    with pytest.raises(PgbenchError, match="cannot be run"):
        write_payments(both.program.with_name("pgbench-of-old"), database.writer_url, 1)
