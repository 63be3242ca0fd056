"""Rules that analysts silence for a time, what is told of them in decisions, and payments across merchants."""

from alembic import context, op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"

SNOOZES = """
CREATE TABLE rule_snoozes (
    id         uuid PRIMARY KEY,
    rule       text NOT NULL CHECK (rule <> ''),
    author     text NOT NULL CHECK (author <> ''),
    reason     text NOT NULL CHECK (reason <> ''),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    ended_by   text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL,
    -- Servers check it by their own clocks, which may differ from this one's.
    CHECK (expires_at <= created_at + interval '31 days')
);
COMMENT ON TABLE rule_snoozes IS 'Rules that are told and not acted upon until expires_at; nothing is deleted.';
COMMENT ON COLUMN rule_snoozes.changed_at IS 'Rises with every change, in the order of commits.';
CREATE INDEX rule_snoozes_by_change ON rule_snoozes (changed_at);
CREATE INDEX rule_snoozes_by_expiry ON rule_snoozes (expires_at) WHERE ended_at IS NULL;
"""

DECISIONS = """
ALTER TABLE fraud_decisions ADD COLUMN snoozed_rules jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN fraud_decisions.snoozed_rules IS 'Live rules that would have fired, were they not snoozed.';
"""

PLATFORM = """
CREATE TABLE platform_velocity (
    key_hash         bytea NOT NULL,
    payment_id       uuid NOT NULL,
    merchant_id      uuid NOT NULL,
    created_at       timestamptz NOT NULL,
    amount           bigint NOT NULL,
    currency         text NOT NULL,
    card             bigint,
    email            bigint,
    ip               bigint,
    device           bigint,
    holder_name      bigint,
    shipping_address bigint,
    PRIMARY KEY (key_hash, payment_id)
);
COMMENT ON TABLE platform_velocity IS 'All merchants'' payments by what they share, while a rule asks for that key.';
COMMENT ON COLUMN platform_velocity.key_hash IS 'Keyed hash of a key and its value; distribute by this.';
COMMENT ON COLUMN platform_velocity.card IS 'Part of a keyed hash, to tell values apart; so are those that follow.';
-- Ids grow with time: what is old is forgotten in their order.
CREATE INDEX platform_velocity_by_age ON platform_velocity (payment_id);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_velocity TO {writer};
GRANT SELECT ON platform_velocity TO {reader};
GRANT SELECT, INSERT, UPDATE ON rule_snoozes TO {writer};
GRANT SELECT ON rule_snoozes TO {reader};
"""


def upgrade() -> None:
    """Creates everything."""
    attributes = context.config.attributes
    quote = op.get_bind().dialect.identifier_preparer.quote
    for statements in (SNOOZES, DECISIONS, PLATFORM):
        op.execute(text(statements))
    op.execute(text(GRANTS.format(writer=quote(attributes["writer"]), reader=quote(attributes["reader"]))))
