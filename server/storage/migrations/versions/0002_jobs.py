"""procrastinate 3.10.0's own schema, as that release ships it, for the worker's jobs."""

from importlib import resources

from alembic import context, op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers,
    procrastinate_workers TO {writer};
GRANT USAGE ON SEQUENCE procrastinate_jobs_id_seq, procrastinate_events_id_seq, procrastinate_periodic_defers_id_seq,
    procrastinate_workers_id_seq TO {writer};
"""


def upgrade() -> None:
    """Creates procrastinate's tables and functions; `text` with escaped colons, since its SQL holds `:` and `%`."""
    schema = resources.files("server.storage.migrations").joinpath("procrastinate_3_10_0.sql").read_text()
    writer = op.get_bind().dialect.identifier_preparer.quote(context.config.attributes["writer"])
    op.execute(text(schema.replace(":", r"\:")))
    op.execute(text(GRANTS.format(writer=writer)))
