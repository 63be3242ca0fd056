"""Transactions on a connection that is kept: whatever happens to one, the next begins afresh."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from server.domain.ids import new_id
from server.storage.driver import send
from server.storage.engine import dumps, make_engine
from server.storage.prepared import prepared, read
from server.storage.transactions import Transactions
from tests.cluster import Database

INSERT = prepared(
    "INSERT INTO sweep_positions (sweep, position) "
    "SELECT sweep, position FROM jsonb_populate_recordset(NULL::sweep_positions, CAST(:rows AS jsonb))"
)
COUNT = text("SELECT count(*) FROM sweep_positions WHERE sweep = :sweep")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = make_engine(database.writer_url, 3, alone=True)
    yield engine
    engine.dispose()


@pytest.fixture
def transactions(engine: Engine) -> Iterator[Transactions]:
    transactions = Transactions(engine)
    yield transactions
    transactions.close()


@pytest.fixture
def sweep() -> str:
    return f"sweep {new_id()}"


def write(connection: Connection, sweep: str) -> None:
    read(connection, INSERT, {"rows": dumps([{"sweep": sweep, "position": new_id()}])})


def counted(engine: Engine, sweep: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(COUNT, {"sweep": sweep}) or 0)


def pid(connection: Connection) -> int:
    return int(send(connection, "SELECT pg_backend_pid()").rows[0][0])


def kill(engine: Engine, *pids: int) -> None:
    with engine.connect() as connection:
        for one in pids:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": one})
            while connection.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": one}):
                pass


def test_a_thread_keeps_its_connection(transactions: Transactions, engine: Engine, sweep: str) -> None:
    pids = set()
    for number in range(3):
        with transactions.begin() as (connection, commit):
            pids.add(pid(connection))
            write(connection, f"{sweep} {number}")
            commit()
        assert counted(engine, f"{sweep} {number}") == 1
    assert len(pids) == 1


def test_what_is_not_committed_is_rolled_back(transactions: Transactions, engine: Engine, sweep: str) -> None:
    with transactions.begin() as (connection, _):
        write(connection, sweep)
    with transactions.begin() as (connection, commit):
        commit()
    assert counted(engine, sweep) == 0


def test_an_error_that_was_swallowed_is_no_commit(transactions: Transactions, engine: Engine, sweep: str) -> None:
    """Postgres answers ROLLBACK to the COMMIT of a transaction that failed, which is no error to the driver."""
    with pytest.raises(RuntimeError, match="ROLLBACK"), transactions.begin() as (connection, commit):
        write(connection, sweep)
        with pytest.raises(DBAPIError):
            send(connection, "SELECT 1 / 0")
        commit()
    assert counted(engine, sweep) == 0


@pytest.mark.parametrize("moment", ["begin", "statement", "commit"])
def test_a_lost_session_is_an_error_and_the_next_transaction_has_another(
    transactions: Transactions, engine: Engine, sweep: str, moment: str
) -> None:
    with transactions.begin() as (connection, commit):
        lost = pid(connection)
        commit()
    if moment == "begin":
        kill(engine, lost)
    with pytest.raises(DBAPIError) as error, transactions.begin() as (connection, commit):
        if moment == "statement":
            kill(engine, lost)
        write(connection, sweep)
        if moment == "commit":
            kill(engine, lost)
        commit()
    assert error.value.connection_invalidated
    assert counted(engine, sweep) == 0
    with transactions.begin() as (connection, commit):
        assert pid(connection) != lost
        write(connection, sweep)
        commit()
    assert counted(engine, sweep) == 1


def test_one_lost_session_makes_the_whole_pool_new(
    transactions: Transactions, engine: Engine, database: Database
) -> None:
    """A database that restarts takes all sessions along, and each batch that finds out about one is too late."""
    other = make_engine(database.writer_url, 1, alone=True)
    opened = [engine.connect() for _ in range(2)]
    spare = [pid(connection) for connection in opened]
    for connection in opened:
        connection.close()
    with transactions.begin() as (connection, commit):
        mine = pid(connection)
        commit()
    kill(other, *{*spare, mine})
    other.dispose()
    with pytest.raises(DBAPIError), transactions.begin():
        pass
    for _ in range(3):
        with engine.connect() as connection:
            assert pid(connection) not in spare


def test_a_session_that_has_lost_its_statements_is_not_taken_again(
    transactions: Transactions, engine: Engine, sweep: str
) -> None:
    with transactions.begin() as (connection, commit):
        write(connection, sweep)
        send(connection, "DEALLOCATE ALL")
        commit()
    with pytest.raises(DBAPIError), transactions.begin() as (connection, _):
        write(connection, sweep)
    with transactions.begin() as (connection, commit):
        write(connection, f"{sweep} again")
        commit()
    assert counted(engine, f"{sweep} again") == 1
