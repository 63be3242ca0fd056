"""A bulk-loaded past is what the gateway would have left: its rows, its ids, its counters, its schema."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from bench import stored
from bench.buyers import BUYERS, MERCHANTS, merchant_id
from bench.stored import Loaded, load
from bench.stored_rows import INSERTS
from server.domain.velocity import Traces, Velocity
from server.storage.book_checks import CHECKS, run_check
from server.storage.prepared import Together
from server.storage.velocity import read_past
from tests.bench.conftest import Both, Row
from tests.bench.test_pgbench import marks
from tests.cluster import TEMPLATE, Cluster, Database
from tests.factories import make_payment

PAYMENTS = 2_000
HOUR, DAY = 3_600, 86_400


@dataclass(frozen=True)
class Past:
    """A database with a past, and the report of its loading."""

    database: Database
    engine: Engine
    loaded: Loaded
    steps: list[tuple[str, int, int]]

    def query(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def rows(self, table: str) -> list[Row]:
        sized = f"SELECT to_jsonb(t) || jsonb_build_object('_size', pg_column_size(t.*)) FROM {table} t"
        return [row for (row,) in self.query(sized)]


@contextmanager
def new_database(postgres: Cluster, name: str) -> Iterator[tuple[Database, Engine]]:
    database = postgres.create_database(name, TEMPLATE)
    engine = create_engine(database.owner_url, connect_args={"options": "-c timezone=UTC"})
    yield database, engine
    engine.dispose()
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def past(postgres: Cluster, worker_id: str) -> Iterator[Past]:
    with new_database(postgres, f"bench_past_{worker_id}") as (database, engine), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "_CHUNK", 300)
        steps: list[tuple[str, int, int]] = []
        loaded = load(database.owner_url, PAYMENTS, progress=lambda *step: steps.append(step))
        yield Past(database, engine, loaded, steps)


def schema(engine: Engine) -> list[tuple[Any, ...]]:
    """All that a load takes away for its time."""
    with engine.connect() as connection:
        found = connection.execute(
            text("""
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n'
            UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
            ORDER BY 1, 2, 3""")
        )
        return [tuple(row) for row in found]


def milliseconds(id_: str) -> int:
    return UUID(id_).int >> 80


def moment(written: str) -> int:
    """Milliseconds since 1970 of a time as Postgres writes it, the part below them dropped."""
    return (datetime.fromisoformat(written) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def test_each_payment_has_the_rows_that_the_gateway_writes(past: Past, both: Both) -> None:
    for table, of_one in both.gateway.tables.items():
        if table in {"idempotency_keys", "velocity_counters"}:
            continue
        by_payment: dict[str, list[Row]] = {}
        for row in past.rows(table):
            by_payment.setdefault(row["id"] if table == "payments" else row["payment_id"], []).append(row)
        assert len(by_payment) == PAYMENTS
        assert {tuple(marks(rows)) for rows in by_payment.values()} == {tuple(marks(of_one))}
        mean = sum(row["_size"] for rows in by_payment.values() for row in rows) / sum(map(len, by_payment.values()))
        assert 0.85 <= mean / both.gateway.size(table) <= 1.15


def test_only_keys_that_retention_would_have_left_are_there(past: Past, both: Both) -> None:
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=past.loaded.until_us, days=-1)
    young = past.query("SELECT id FROM payments WHERE updated_at > :since ORDER BY id", since=since)
    assert past.query("SELECT payment_id FROM idempotency_keys ORDER BY payment_id") == young != []
    assert {str(marks([row])) for row in past.rows("idempotency_keys")} == {
        str(marks(both.gateway.tables["idempotency_keys"]))
    }


def test_payments_are_spread_over_half_a_year_merchants_and_buyers(past: Past) -> None:
    payments = past.rows("payments")
    times = sorted(datetime.fromisoformat(row["created_at"]) for row in payments)
    step = timedelta(days=180) / PAYMENTS
    assert all(later - earlier < 2 * step for earlier, later in pairwise(times))
    assert timedelta(days=179) < times[-1] - times[0] < timedelta(days=180)
    assert abs(times[-1] - datetime.fromtimestamp(past.loaded.until_us / 1e6, UTC)) < step
    assert {UUID(row["merchant_id"]) for row in payments} == {merchant_id(n) for n in range(1, MERCHANTS + 1)}
    assert past.query("SELECT count(*) FROM merchants") == [(MERCHANTS,)]
    for column in ("card_fingerprint", "customer_id", "customer_email", "customer_device_id", "customer_ip"):
        assert 0.9 * PAYMENTS < len({row[column] for row in payments}) < BUYERS
    assert len({row["card_bin"] for row in payments}) > 40


def test_ids_carry_the_times_of_their_rows(past: Past) -> None:
    for table in ("payments", "transactions", "events", "ledger_entries"):
        rows = past.rows(table)
        assert all(milliseconds(row["id"]) == moment(row["created_at"]) for row in rows)
        assert {(UUID(row["id"]).version, UUID(row["id"]).variant) for row in rows} == {(7, "specified in RFC 4122")}
        assert len({row["id"] for row in rows}) == len(rows)


def test_its_documents_tell_of_their_own_payments(past: Past) -> None:
    assert past.query("""
        SELECT count(*) FROM events e JOIN payments p ON p.merchant_id = e.merchant_id AND p.id = e.payment_id
        WHERE e.data->'payment'->>'id' = p.id::text AND e.data->'payment'->>'customer_id' = p.customer_id
          AND e.data->'payment'->>'customer_email' = p.customer_email
          AND (e.data->'payment'->>'created_at')::timestamptz = p.created_at
    """) == [(PAYMENTS,)]


def test_its_books_are_right(past: Past) -> None:
    payments = [(merchant, payment) for merchant, payment in past.query("SELECT merchant_id, id FROM payments")]
    with past.engine.connect() as connection:
        assert [run_check(connection, check, payments) for check in CHECKS] == [[] for _ in CHECKS]


def asked(connection: Connection, merchant: UUID, traces: Traces, at: datetime, *velocities: Velocity) -> list[Any]:
    """What the gateway would know of the past of a payment that is made now."""
    payment = make_payment(merchant_id=merchant, created_at=at)
    counted = read_past(connection, [(payment, traces, velocities)]).complete(Together(connection))
    return [counted[payment.id][velocity.name] for velocity in velocities]


def test_velocity_counts_a_loaded_card(past: Past) -> None:
    until = datetime.fromtimestamp(past.loaded.until_us / 1e6 + 1, UTC)
    since = until - timedelta(days=1)
    [(merchant, card), *_] = past.query(
        "SELECT merchant_id, card_fingerprint FROM payments WHERE created_at > :since", since=since
    )
    count = "SELECT count(*) FROM payments WHERE merchant_id = :merchant AND card_fingerprint = :card"
    [(plain,)] = past.query(f"{count} AND created_at > :since", merchant=merchant, card=card, since=since)
    with past.engine.connect() as connection:
        by_card = Velocity("by_card", "count", "payments", "card", DAY)
        assert asked(connection, merchant, Traces(card_fingerprint=card), until, by_card) == [plain]
    assert plain > 0


def test_velocity_counts_a_loaded_merchant_and_bin_of_all_time(past: Past) -> None:
    until = datetime.fromtimestamp(past.loaded.until_us / 1e6 + 1, UTC)
    [(merchant, card_bin, of_bin), *_] = past.query(
        "SELECT merchant_id, card_bin, count(*) FROM payments GROUP BY 1, 2 ORDER BY 3 DESC"
    )
    of_merchant = "SELECT count(*), sum(amount) FROM payments WHERE merchant_id = :merchant"
    [(count, amount)] = past.query(of_merchant, merchant=merchant)
    with past.engine.connect() as connection:
        by_merchant = Velocity("by_merchant", "sum", "approvals", "merchant", None)
        by_bin = Velocity("by_bin", "count", "payments", "bin", None)
        spent, counted = asked(connection, merchant, Traces(card_bin=card_bin), until, by_merchant, by_bin)
    assert (spent["USD"].payments, spent["USD"].amount, counted) == (count, amount, of_bin)


def width(made_s: int, now_s: int) -> int:
    """How wide the worker has made the bucket of a payment: it folds what ended so long ago."""
    widths = ((10, 60, 600), (60, HOUR, 6 * HOUR), (HOUR, DAY, 6 * DAY), (DAY, 30 * DAY, 92 * DAY))
    found = 10
    for narrow, wide, age in widths:
        if found == narrow and made_s < (now_s - age) // wide * wide:
            found = wide
    return found


def test_counters_are_as_wide_as_the_worker_would_have_left_them(past: Past) -> None:
    now_s, expected = past.loaded.until_us // 1_000_000, Counter[tuple[str, str, str, int, int]]()
    for row in past.rows("payments"):
        made_s = moment(row["created_at"]) // 1000
        wide = width(made_s, now_s)
        for dimension, value in (("merchant", ""), ("bin", row["card_bin"]), ("email_domain", "example.com")):
            expected[row["merchant_id"], dimension, value, made_s // wide * wide, wide] += 1
    rows = past.rows("velocity_counters")
    found = {
        (row["merchant_id"], row["dimension"], row["value"], row["start_s"], row["width_s"]): row["payments"]
        for row in rows
    }
    assert found == expected
    assert {row["width_s"] for row in rows} >= {HOUR, DAY, 30 * DAY}


def test_the_schema_is_whole_again(past: Past, postgres: Cluster, worker_id: str) -> None:
    with new_database(postgres, f"bench_new_{worker_id}") as (_, engine):
        assert schema(past.engine) == schema(engine)


def test_it_tells_how_far_it_is(past: Past) -> None:
    assert ("payments", PAYMENTS, PAYMENTS) in past.steps
    assert [name for name in dict.fromkeys(name for name, _, _ in past.steps)] == [
        "payments", "keys and indexes", "vacuum",
    ]  # fmt: skip
    assert past.loaded.payments == PAYMENTS
    assert past.loaded.bytes_each > 5_000


def test_another_load_adds_to_the_first_and_may_leave_documents_out(postgres: Cluster, worker_id: str) -> None:
    with new_database(postgres, f"bench_twice_{worker_id}") as (database, engine):
        first = load(database.owner_url, 200)
        second = load(database.owner_url, 100, documents=False)
        with engine.connect() as connection:
            payments = connection.execute(text("SELECT merchant_id, id FROM payments")).all()
            counted = connection.scalar(
                text("SELECT sum(payments) FROM velocity_counters WHERE dimension = 'merchant'")
            )
            empty = connection.scalar(text("SELECT count(*) FROM events WHERE data = '{}'"))
            assert [run_check(connection, check, [tuple(one) for one in payments]) for check in CHECKS] == [[]] * 9
        assert (len(payments), counted, empty) == (300, 300, 100)
        assert second.bytes_each < first.bytes_each


def test_the_schema_is_whole_again_after_an_error(
    postgres: Cluster, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_database(postgres, f"bench_error_{worker_id}") as (database, engine):
        before = schema(engine)
        monkeypatch.setattr("bench.stored.INSERTS", (*INSERTS, "SELECT 1 / 0"))
        with pytest.raises(DBAPIError, match="division by zero"):
            load(database.owner_url, 100)
        assert schema(engine) == before
        monkeypatch.undo()
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            load(database.writer_url, 100)
        assert schema(engine) == before
