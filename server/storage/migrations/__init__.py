"""Alembic revisions, and `migrate`, which the command line, the local stack and the tests call."""

from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from server.storage.roles import ensure_roles


def migrate(owner_url: str, writer_url: str, reader_url: str, revision: str = "head") -> None:
    """Creates the roles that are missing and brings the schema to `revision`.

    Args:
        owner_url: DSN of the role that shall own the tables; it must be allowed to create roles.
        writer_url: DSN whose user and password become the server's role: may read and write, owns nothing.
        reader_url: DSN whose user and password become the read-only role.
        revision: Alembic's name of a revision.
    """
    writer, reader = make_url(writer_url), make_url(reader_url)
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        ensure_roles(connection, writer, reader)
    config = Config()
    config.set_main_option("script_location", str(resources.files(__name__)))
    with engine.connect() as connection:
        config.attributes.update(connection=connection, writer=writer.username, reader=reader.username)
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()
