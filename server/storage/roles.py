"""The database's roles: an owner, a writer that owns nothing, and a reader. Called by `migrations.migrate`.

Superusers and owners bypass row-level security and REVOKE, so the server must be neither.
"""

from sqlalchemy import URL, Connection, text


def ensure_roles(connection: Connection, writer: URL, reader: URL) -> None:
    """Creates the login roles of the two DSNs where they are missing, and sets their passwords."""
    for url in (writer, reader):
        assert url.username is not None, "the DSN names a user"
        # Two migrations may run at once; the lock makes the second see the first one's role.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('kassa.roles'))"))
        quoted = connection.dialect.identifier_preparer.quote(url.username)
        known = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": url.username})
        if known is None:
            connection.execute(text(f"CREATE ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"))
        if url.password is not None:
            literal = connection.scalar(text("SELECT quote_literal(:password)"), {"password": str(url.password)})
            connection.execute(text("ALTER ROLE " + quoted + " PASSWORD " + str(literal).replace(":", r"\:")))
