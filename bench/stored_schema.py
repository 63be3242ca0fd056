"""Takes keys and indexes off tables for the time of a bulk load. Called by `stored` alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text

# Foreign keys rest on the primary keys that they name, so they go first and come last.
_CONSTRAINTS = text("""
    SELECT c.conrelid::regclass::text AS relation, quote_ident(c.conname) AS name,
        pg_get_constraintdef(c.oid) AS definition
    FROM pg_constraint c
    WHERE c.contype = ANY(CAST(:kinds AS "char"[]))
      AND (c.conrelid = ANY(CAST(:tables AS regclass[])) OR c.confrelid = ANY(CAST(:tables AS regclass[])))
    ORDER BY c.conrelid::regclass::text, c.conname
""")
_INDEXES = text("""
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
    WHERE i.indrelid = ANY(CAST(:tables AS regclass[]))
      AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
    ORDER BY i.indrelid::regclass::text, i.indexrelid
""")
Tell = Callable[[str, int, int], None]
"""Told what is done of how much: a step's name, how far it is, and its end."""


@contextmanager
def without_indexes(connection: Connection, tables: Sequence[str], tell: Tell) -> Iterator[None]:
    """Drops the tables' keys, and the foreign keys that rest on them, and their indexes; makes them again at the end.

    They come back however the block ends; a process that is killed in it leaves them away, and the database is to be
    made anew.

    Args:
        connection: In autocommit, as the tables' owner.
    """
    foreign = _constraints(connection, tables, "f")
    primary = _constraints(connection, tables, "pu")
    indexes = connection.execute(_INDEXES, {"tables": list(tables)}).all()
    for relation, name, _ in (*foreign, *primary):
        connection.exec_driver_sql(f"ALTER TABLE {relation} DROP CONSTRAINT {name}")
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    try:
        yield
    finally:
        made_again = [f"ALTER TABLE {relation} ADD CONSTRAINT {name} {made}" for relation, name, made in primary]
        made_again += [made for _, made in indexes]
        made_again += [f"ALTER TABLE {relation} ADD CONSTRAINT {name} {made}" for relation, name, made in foreign]
        for done, statement in enumerate(made_again):
            tell("keys and indexes", done, len(made_again))
            connection.exec_driver_sql(statement.replace("%", "%%"))
        tell("keys and indexes", len(made_again), len(made_again))


def _constraints(connection: Connection, tables: Sequence[str], kinds: str) -> list[tuple[str, str, str]]:
    rows = connection.execute(_CONSTRAINTS, {"tables": list(tables), "kinds": list(kinds)})
    return [(row.relation, row.name, row.definition) for row in rows]
