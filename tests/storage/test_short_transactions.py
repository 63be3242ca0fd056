"""Short work on threads: what a caller is told where the database goes away in the middle of it."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.domain.errors import KassaError, Reason
from server.storage.engine import make_engine
from server.storage.short_transactions import ShortTransactions
from tests.cluster import Database


@pytest.fixture
async def transactions(database: Database) -> AsyncIterator[ShortTransactions]:
    engine, alone = make_engine(database.writer_url, 1), make_engine(database.writer_url, 1, alone=True)
    with ThreadPoolExecutor(1) as threads:
        yield ShortTransactions(engine, threads, alone)
    engine.dispose()
    alone.dispose()


def die(connection: Connection) -> object:
    return connection.scalar(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def number(connection: Connection) -> object:
    return connection.scalar(text("SELECT 7"))


async def test_a_connection_that_dies_is_an_unavailable_service_and_the_next_call_has_another(
    transactions: ShortTransactions,
) -> None:
    for run in (transactions.run, transactions.read):
        with pytest.raises(KassaError) as refusal:
            await run(die)
        assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
        assert await run(number) == 7


async def test_a_connection_that_dies_after_its_last_word_changes_nothing_of_it(
    transactions: ShortTransactions, database: Database
) -> None:
    """The server is gone once a read has its answer, as when Postgres is killed: the answer holds."""

    killer = make_engine(database.writer_url, 1, alone=True)

    def answered_then_dead(connection: Connection) -> object:
        session = connection.scalar(text("SELECT pg_backend_pid()"))
        with killer.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:session, 5000)"), {"session": session})
        return 7

    assert await transactions.read(answered_then_dead) == 7
    killer.dispose()
    with pytest.raises(KassaError) as refusal:
        await transactions.read(number)  # the pool does not know yet
    assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
    assert await transactions.read(number) == 7


async def test_every_name_that_the_driver_has_for_a_lost_connection_is_an_unavailable_service(
    transactions: ShortTransactions,
) -> None:
    """Closed here, it is an InterfaceError and no OperationalError."""

    def closed(connection: Connection) -> object:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.close()
        return number(connection)

    for run in (transactions.run, transactions.read):
        with pytest.raises(KassaError) as refusal:
            await run(closed)
        assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
        assert await run(number) == 7


async def test_an_error_of_ours_is_no_unavailable_service(transactions: ShortTransactions) -> None:
    def wrong(connection: Connection) -> object:
        return connection.scalar(text("SELECT 1 / 0"))

    for run in (transactions.run, transactions.read):
        with pytest.raises(DBAPIError):
            await run(wrong)
