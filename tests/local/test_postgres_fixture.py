"""The run's shared cluster, as every other test gets it."""

import psycopg2
import pytest

from tests.cluster import Cluster, Database


def connect(url: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(url.replace("+psycopg2", ""))


def test_the_three_roles_reach_the_migrated_database(database: Database) -> None:
    for url in (database.owner_url, database.writer_url, database.reader_url):
        connection = connect(url)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM payments")
            assert cursor.fetchone() == (0,) or cursor.rowcount == 1
        connection.close()


def test_only_the_owner_may_change_the_schema(database: Database) -> None:
    connection = connect(database.writer_url)
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("CREATE TABLE intruder (id int)")
    connection.close()


def test_a_new_database_is_empty_and_belongs_to_the_owner(postgres: Cluster) -> None:
    fresh = postgres.create_database("fresh")
    connection = connect(fresh.owner_url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)
    connection.close()
    postgres.drop_database("fresh")
