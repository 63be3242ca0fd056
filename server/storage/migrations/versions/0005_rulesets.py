"""Versions of rulesets, who released which and why, and what a decision was made with."""

from alembic import context, op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"

RULESETS = """
CREATE TABLE ruleset_versions (
    hash       text PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{64}$'),
    name       text NOT NULL,
    sources    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ruleset_versions IS 'All that a ruleset is made of, so that its decisions can be replayed.';

CREATE TABLE ruleset_releases (
    ordinal    bigint PRIMARY KEY,
    role       text NOT NULL CHECK (role IN ('LIVE', 'CANDIDATE', 'SHADOW')),
    hash       text NOT NULL,
    percent    integer NOT NULL CHECK (percent BETWEEN 1 AND 100),
    author     text NOT NULL CHECK (author <> ''),
    reason     text NOT NULL CHECK (reason <> ''),
    previous   bigint REFERENCES ruleset_releases (ordinal),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (hash <> '' OR role <> 'LIVE')
);
COMMENT ON TABLE ruleset_releases IS 'The newest of each role is in force. Rows are never changed.';
COMMENT ON COLUMN ruleset_releases.hash IS 'Empty: the role has ended.';
COMMENT ON COLUMN ruleset_releases.previous IS 'What a rollback goes back to.';
CREATE INDEX ruleset_releases_by_role ON ruleset_releases (role, ordinal);
"""

DECISIONS = """
-- What was decided before this revision was decided by the only ruleset there was.
ALTER TABLE fraud_decisions
    ADD COLUMN backend text NOT NULL DEFAULT '',
    ADD COLUMN role    text NOT NULL DEFAULT 'LIVE' CHECK (role IN ('LIVE', 'CANDIDATE')),
    ADD COLUMN shadows jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN fraud_decisions.backend IS 'Which back end found the rules that fire; empty where that was not kept.';
COMMENT ON COLUMN fraud_decisions.shadows IS 'What shadow rulesets would have decided.';
-- Ids grow with time: by this one the platform finds a payment by its id alone, the newest decisions, and those since.
CREATE INDEX fraud_decisions_by_payment ON fraud_decisions (payment_id);
"""

GRANTS = """
GRANT SELECT, INSERT ON ruleset_versions, ruleset_releases TO {writer};
GRANT SELECT ON ruleset_versions, ruleset_releases TO {reader};
"""


def upgrade() -> None:
    """Creates everything."""
    attributes = context.config.attributes
    quote = op.get_bind().dialect.identifier_preparer.quote
    for statements in (RULESETS, DECISIONS):
        op.execute(text(statements))
    op.execute(text(GRANTS.format(writer=quote(attributes["writer"]), reader=quote(attributes["reader"]))))
