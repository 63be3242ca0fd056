"""Statements that Postgres keeps, and writes that travel together."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from server.domain.ids import new_id
from server.storage import driver
from server.storage.driver import Found
from server.storage.engine import dumps, make_engine
from server.storage.prepared import Together, prepared
from tests.cluster import Database

SUM = prepared("SELECT CAST(:a AS int) + CAST(:b AS int) % 7 + 0 * CAST(:a AS int) AS total, '100%s'::text AS said")
INSERT = prepared(
    "INSERT INTO sweep_positions (sweep, position) "
    "SELECT sweep, position FROM jsonb_populate_recordset(NULL::sweep_positions, CAST(:rows AS jsonb))"
)
READ = prepared("SELECT position FROM sweep_positions WHERE sweep LIKE :name || '%' ORDER BY sweep")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = make_engine(database.writer_url, 1)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT name FROM pg_prepared_statements ORDER BY name")))


def insert(writes: Connection | Together, name: str) -> UUID:
    position = new_id()
    writes.execute(INSERT, {"rows": dumps([{"sweep": name, "position": position}])})
    return position


def test_a_statement_is_prepared_once_and_answers_as_any_other(connection: Connection) -> None:
    for b in (3, 9, 14):
        row = connection.execute(SUM, {"a": 4, "b": b}).one()
        assert (row.total, row.said) == (4 + b % 7, "100%s")
    assert len(names(connection)) == 1


def test_what_is_not_marked_is_not_prepared(connection: Connection) -> None:
    assert connection.scalar(text("SELECT 1")) == 1
    assert names(connection) == []


def test_a_new_session_prepares_anew(engine: Engine) -> None:
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.execute(SUM, {"a": 1, "b": 1}).one().total == 2
            connection.invalidate()


def test_a_rolled_back_transaction_leaves_the_statement(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(SUM, {"a": 1, "b": 1})
        connection.rollback()
        assert connection.execute(SUM, {"a": 1, "b": 2}).one().total == 3


def test_writes_together_take_one_round_trip_and_keep_their_order(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = str(new_id())
    insert(connection, f"{key} known before")
    connection.execute(READ, {"name": key})
    sent: list[str] = []
    send = driver.send

    def note(connection: Connection, sql: str, *rest: Any) -> Found:
        sent.append(sql)
        return send(connection, sql, *rest)

    monkeypatch.setattr(driver, "send", note)
    writes = Together(connection)
    positions = [insert(writes, f"{key} {number}") for number in range(3)]
    assert sent == []
    found = writes.read(READ, {"name": f"{key} "})
    assert [row["position"] for row in found.mappings()] == [*positions, found.rows[-1][0]] and found.count == 4
    assert len(sent) == 1 and sent[0].count("EXECUTE") == 4
    writes.send()
    assert len(sent) == 1


def test_one_that_fails_fails_them_all(connection: Connection) -> None:
    key = str(new_id())
    writes = Together(connection)
    insert(writes, f"{key} twice")
    insert(writes, f"{key} twice")
    with pytest.raises(DBAPIError):
        writes.send()
    connection.rollback()
    assert connection.execute(READ, {"name": key}).all() == []
