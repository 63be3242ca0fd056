"""Disputes, fees that come late, deadlines, calls to processors, and what reads the ledger and a payment's timeline."""

from alembic import context, op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"

LEDGER = """
CREATE INDEX ledger_entries_by_payment ON ledger_entries (merchant_id, payment_id, id);
CREATE INDEX ledger_entries_by_time ON ledger_entries (merchant_id, created_at) INCLUDE (account, currency, amount);
-- Storage leaves out what is booked; this stands behind it, so that no fee is ever booked twice.
CREATE UNIQUE INDEX ledger_entries_fees ON ledger_entries (merchant_id, payment_id, processor_reference)
    WHERE kind = 'FEE' AND account = 'fees';

-- Nobody changes the past, not even the owner by mistake; a wrong journal is put right by another one.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = '42501', TABLE = 'ledger_entries';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();

CREATE TABLE fees_due (
    merchant_id          uuid NOT NULL,
    transaction_id       uuid NOT NULL,
    payment_id           uuid NOT NULL,
    processor_payment_id text NOT NULL,
    capture_id           text NOT NULL,
    attempts             integer NOT NULL,
    created_at           timestamptz NOT NULL,
    next_attempt_at      timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, transaction_id)
);
COMMENT ON TABLE fees_due IS 'Captures whose processor had not said yet what it keeps.';
CREATE INDEX fees_due_by_time ON fees_due (next_attempt_at);
"""

DISPUTES = """
CREATE TABLE disputes (
    merchant_id          uuid NOT NULL,
    id                   uuid NOT NULL,
    payment_id           uuid NOT NULL,
    transaction_id       uuid NOT NULL,
    version              integer NOT NULL,
    state                text NOT NULL CHECK (state IN ('NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST', 'CLOSED')),
    reason               text NOT NULL,
    reason_code          text NOT NULL,
    inquiry              boolean NOT NULL,
    amount               bigint NOT NULL CHECK (amount > 0),
    currency             text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_withdrawn     bigint NOT NULL CHECK (amount_withdrawn >= 0),
    amount_held          bigint NOT NULL CHECK (amount_held >= 0),
    processor            text NOT NULL,
    processor_account_id uuid NOT NULL,
    processor_dispute_id text NOT NULL,
    respond_by           timestamptz,
    evidence             jsonb,
    answered_at          timestamptz,
    opened_at            timestamptz NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, id)
);
COMMENT ON COLUMN disputes.version IS 'How many readings were settled; each is settled on top of the one that it saw.';
CREATE UNIQUE INDEX disputes_by_object ON disputes (merchant_id, processor_account_id, processor_dispute_id);
CREATE INDEX disputes_by_payment ON disputes (merchant_id, payment_id);
"""

DEADLINES = """
CREATE TABLE payment_deadlines (
    merchant_id uuid NOT NULL,
    payment_id  uuid NOT NULL,
    expires_at  timestamptz NOT NULL,
    attempts    integer NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_id)
);
COMMENT ON TABLE payment_deadlines IS 'Payments that must be captured or approved in time, else they are cancelled.';
CREATE INDEX payment_deadlines_by_time ON payment_deadlines (next_attempt_at);
-- What waits already when this revision comes; processors hold funds for 7 and for 29 days.
INSERT INTO payment_deadlines (merchant_id, payment_id, expires_at, attempts, next_attempt_at)
SELECT merchant_id, id, expires_at, 0, expires_at FROM (
    SELECT merchant_id, id, created_at + CASE WHEN state = 'PENDING' THEN interval '24 hours'
        WHEN processor = 'paypal' THEN interval '28 days' ELSE interval '6 days' END AS expires_at
    FROM payments WHERE state IN ('AUTHORIZED', 'IN_REVIEW') OR state = 'PENDING' AND redirect_url <> '') AS waiting;

CREATE TABLE sweep_positions (
    sweep    text PRIMARY KEY,
    position uuid NOT NULL
);
COMMENT ON TABLE sweep_positions IS 'How far a sweep that walks a whole table has come.';
"""

# Each account is recovered by itself, so that one whose processor hangs holds up no other.
RECOVERY = """
DROP INDEX transactions_open;
CREATE INDEX transactions_open ON transactions (processor_account_id, lease_until)
    WHERE state IN ('PENDING', 'UNKNOWN');
DROP INDEX processor_events_unhandled;
CREATE INDEX processor_events_unhandled ON processor_events (account_id, next_attempt_at) WHERE handled_at IS NULL;
"""

DRIFT = """
CREATE TABLE books_drift (
    merchant_id uuid NOT NULL,
    payment_id  uuid NOT NULL,
    check_name  text NOT NULL,
    detail      text NOT NULL,
    found_at    timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_id, check_name)
);
COMMENT ON TABLE books_drift IS 'Payments that broke a check when it last looked at them. It must be empty.';
"""

ATTENTION = """
ALTER TABLE attention_items ADD COLUMN resolved_by text, ADD COLUMN note text;
UPDATE attention_items SET kind = upper(regexp_replace(kind, '([a-z])([A-Z])', '\\1_\\2', 'g'));
-- The platform lists the items of all merchants, and closes one by its id alone.
CREATE INDEX attention_items_by_id ON attention_items (id);
"""

TIMELINE = """
CREATE TABLE processor_calls (
    merchant_id          uuid NOT NULL,
    payment_id           uuid NOT NULL,
    id                   uuid NOT NULL,
    transaction_id       uuid,
    processor            text NOT NULL,
    processor_account_id uuid NOT NULL,
    operation            text NOT NULL,
    idempotency_key      text NOT NULL,
    request              jsonb NOT NULL,
    status               integer,
    response             jsonb,
    error                text NOT NULL,
    processor_request_id text NOT NULL,
    started_at           timestamptz NOT NULL,
    duration_us          bigint NOT NULL CHECK (duration_us >= 0),
    PRIMARY KEY (merchant_id, payment_id, id)
);
COMMENT ON TABLE processor_calls IS 'What was said to a processor and answered, without card data and secrets.';
COMMENT ON COLUMN processor_calls.transaction_id IS 'NULL where it was about no transaction of ours.';

CREATE INDEX attention_items_by_payment ON attention_items (merchant_id, payment_id, id);
CREATE INDEX events_by_payment ON events (merchant_id, payment_id, id);
ALTER TABLE processor_events ADD COLUMN merchant_id uuid, ADD COLUMN payment_id uuid;
COMMENT ON COLUMN processor_events.payment_id IS 'Whose it turned out to be, once it was handled.';
CREATE INDEX processor_events_by_payment ON processor_events (merchant_id, payment_id) WHERE payment_id IS NOT NULL;
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON disputes, sweep_positions TO {writer};
GRANT SELECT, INSERT ON processor_calls TO {writer};
GRANT SELECT, INSERT, UPDATE, DELETE ON fees_due, payment_deadlines, books_drift TO {writer};
GRANT SELECT ON fees_due, disputes, payment_deadlines, sweep_positions, processor_calls, books_drift TO {reader};
"""


def upgrade() -> None:
    """Creates everything."""
    attributes = context.config.attributes
    quote = op.get_bind().dialect.identifier_preparer.quote
    for statements in (LEDGER, DISPUTES, DEADLINES, RECOVERY, DRIFT, ATTENTION, TIMELINE):
        op.execute(text(statements))
    op.execute(text(GRANTS.format(writer=quote(attributes["writer"]), reader=quote(attributes["reader"]))))
