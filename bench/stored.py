"""Fills a database with payments of the past: `python -m bench.stored --dsn … --payments 1000000`.

What it leaves is a database that has been in use for half a year: the rows of `pgbench_payment.sql` for each payment in
all tables, velocity counters folded as the worker folds them, idempotency keys of the last day, analyzed and vacuumed.
For databases that nobody will miss: while it loads nobody else may write, since keys and indexes are away, and what is
inserted is not counted by triggers.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url

from bench.stored_rows import DRAW, INSERTS, MAKE_MERCHANTS, TABLES, constants, counting
from bench.stored_schema import Tell, without_indexes

_DAYS: Final = 180
_CHUNK: Final = 25_000
_CONNECTIONS: Final = 2
_COUNTERS: Final = "velocity_counters"
# A load that is lost with its machine is begun anew, so no flush is waited for.
_OPTIONS: Final = (
    "-c timezone=UTC -c synchronous_commit=off -c work_mem=256MB -c maintenance_work_mem=1GB -c jit=off "
    "-c temp_buffers=128MB"
)
_TRIGGER: Final = "ALTER TABLE payments {} TRIGGER payments_counted"
_SIZE: Final = text(
    "SELECT sum(pg_total_relation_size(CAST(name AS regclass))) FROM unnest(CAST(:tables AS text[])) AS name"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded.

    Attributes:
        seconds: All of it, indexes and vacuum included.
        bytes_each: What the database grew by for each payment, indexes included.
        until_us: The moment up to which there is a past, microseconds since 1970.
    """

    payments: int
    seconds: float
    bytes_each: float
    until_us: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """When the payments were made: one in each step of time, the last step ending at `until_us`."""

    count: int
    seed: int
    until_us: int
    step_us: int
    documents: bool

    def moment_s(self, number: int) -> int:
        """The second at which the step of a payment begins."""
        return (self.until_us - (self.count - number) * self.step_us) // 1_000_000


def _silent(step: str, done: int, total: int) -> None:
    pass


def load(dsn: str, count: int, *, seed: int = 1, documents: bool = True, progress: Tell = _silent) -> Loaded:
    """Adds so many payments of the last 180 days, by 100 merchants and 20,000 buyers (`bench.buyers`).

    Args:
        dsn: Of a migrated database, as the owner of its tables or a superuser.
        seed: Who pays whom; the times end now, so no two loads are the same.
        documents: False leaves facts, events and calls without their documents, which are half of all bytes and in no
            index: for more payments than a disk would hold otherwise.
        progress: Told of each step.

    Raises:
        SQLAlchemyError: Postgres cannot be reached or refuses; keys and indexes are there again.
    """
    started, until_us = time.monotonic(), time.time_ns() // 1000 - 1_000_000
    plan = _Plan(count, seed, until_us, max(1, _DAYS * 86_400_000_000 // count), documents)
    url = make_url(dsn).set(drivername="postgresql+psycopg2")
    engine = create_engine(url, pool_size=_CONNECTIONS + 1, hide_parameters=True, connect_args={"options": _OPTIONS})
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            before = _size(connection)
            connection.exec_driver_sql(MAKE_MERCHANTS)
            with _uncounted(connection), without_indexes(connection, TABLES, progress):
                _load_chunks(engine, plan, progress)
            _vacuum(connection, progress)
            grown = _size(connection) - before
    finally:
        engine.dispose()
    return Loaded(count, time.monotonic() - started, grown / count, until_us)


def _load_chunks(engine: Engine, plan: _Plan, progress: Tell) -> None:
    """Makes chunks on two connections; after an error none is begun."""
    firsts, done = range(0, plan.count, _CHUNK), 0
    progress("payments", 0, plan.count)
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        chunks = [threads.submit(_load_chunk, engine, plan, first) for first in firsts]
        try:
            for chunk in chunks:
                done += chunk.result()
                progress("payments", done, plan.count)
        finally:
            threads.shutdown(cancel_futures=True)


def _load_chunk(engine: Engine, plan: _Plan, first: int) -> int:
    last = min(first + _CHUNK, plan.count) - 1
    values: dict[str, Any] = constants() | {
        "seed": plan.seed, "count": plan.count, "until_us": plan.until_us, "step_us": plan.step_us,
        "first": first, "last": last, "documents": plan.documents,
    }  # fmt: skip
    counts = counting(plan.until_us // 1_000_000, plan.moment_s(first), plan.moment_s(last + 1))
    with engine.begin() as connection:
        for statement in (DRAW, *INSERTS, *counts):
            connection.execute(text(statement), values)
    return last - first + 1


@contextmanager
def _uncounted(connection: Connection) -> Iterator[None]:
    """Keeps the trigger away that would count each payment in the ten seconds of its making."""
    connection.exec_driver_sql(_TRIGGER.format("DISABLE"))
    try:
        yield
    finally:
        connection.exec_driver_sql(_TRIGGER.format("ENABLE"))


def _vacuum(connection: Connection, progress: Tell) -> None:
    tables = (*TABLES, _COUNTERS)
    for done, table in enumerate(tables):
        progress("vacuum", done, len(tables))
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {table}")
    progress("vacuum", len(tables), len(tables))


def _size(connection: Connection) -> int:
    return int(connection.scalar(_SIZE, {"tables": [*TABLES, _COUNTERS]}) or 0)


def main(
    dsn: Annotated[str, typer.Option(help="Of a migrated database, as its owner or a superuser.")],
    payments: Annotated[int, typer.Option(help="How many payments.", min=1)],
    seed: Annotated[int, typer.Option(help="Who pays whom.")] = 1,
    documents: Annotated[bool, typer.Option(help="Facts, events and calls with their documents, or empty.")] = True,
) -> None:
    """Load payments of the last 180 days, and say how fast and how large."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = shown.add_task(step, total=total)
            shown.update(tasks[step], completed=done)

        loaded = load(dsn, payments, seed=seed, documents=documents, progress=tell)
    rate = f"{loaded.payments / loaded.seconds:,.0f} a second, {loaded.bytes_each:,.0f} bytes each"
    print(f"{loaded.payments:,} payments in {loaded.seconds:,.0f} s: {rate}")


if __name__ == "__main__":
    typer.run(main)
