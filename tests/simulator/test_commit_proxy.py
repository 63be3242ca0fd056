"""The proxy loses a connection before its COMMIT or after it, and nothing else ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from sandbox.simulator.commit_proxy import CommitProxy, Cut
from tests.cluster import Database


@dataclass
class Door:
    """A table in the worker's own database, and the way to it through the proxy."""

    proxy: CommitProxy
    dsn: str
    direct: str

    async def insert(self) -> str:
        """Inserts a merchant's row in a transaction of its own; returns its id, whatever becomes of it."""
        key = str(uuid4())
        self.key = key
        await asyncio.to_thread(self._insert, key)
        return key

    def _insert(self, key: str) -> None:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO sweep_positions VALUES (%s, %s)", (key, key))
            connection.commit()

    async def stands(self, key: str) -> bool:
        """Whether the row is there."""
        return await asyncio.to_thread(self._stands, key)

    def _stands(self, key: str) -> bool:
        with closing(psycopg2.connect(self.direct)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM sweep_positions WHERE sweep = %s", (key,))
            return cursor.fetchone() is not None


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    url = make_url(database.writer_url).set(drivername="postgresql")
    assert url.port is not None
    proxy = CommitProxy(url.port)
    server = await proxy.start(0)
    port = server.sockets[0].getsockname()[1]
    yield Door(proxy, *(one.render_as_string(hide_password=False) for one in (url.set(port=port), url)))
    server.close()
    await server.wait_closed()


async def test_it_passes_everything_on(door: Door) -> None:
    assert await door.stands(await door.insert())


@pytest.mark.parametrize(("cut", "done"), [(Cut.BEFORE, False), (Cut.AFTER, True)])
async def test_it_loses_the_connection_during_commit(door: Door, cut: Cut, done: bool) -> None:
    door.proxy.order(cut)
    with pytest.raises(psycopg2.OperationalError):
        await door.insert()
    assert await door.stands(door.key) is done
    assert await door.stands(await door.insert()), "one order cuts one COMMIT"


async def test_a_database_that_is_down_looks_so(door: Door) -> None:
    door.proxy.postgres_port = 1
    with pytest.raises(psycopg2.OperationalError):
        await door.insert()
