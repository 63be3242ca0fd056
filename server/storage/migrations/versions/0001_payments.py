"""Merchants, payments, transactions, claims, ledger and events.

Every table's key begins with merchant_id; tests list the exceptions (look-ups that come before the merchant is known).
"""

from alembic import context, op
from sqlalchemy import text

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE merchants (
    id               uuid PRIMARY KEY,
    name             text NOT NULL CHECK (name <> ''),
    test_mode        boolean NOT NULL,
    country          text NOT NULL,
    time_zone        text NOT NULL,
    default_currency text NOT NULL CHECK (default_currency ~ '^[A-Z]{3}$'),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    key_hash    bytea PRIMARY KEY,
    id          uuid NOT NULL UNIQUE,
    merchant_id uuid,
    name        text NOT NULL,
    last4       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);
CREATE INDEX api_keys_by_merchant ON api_keys (merchant_id, id);

CREATE TABLE processor_accounts (
    merchant_id uuid NOT NULL,
    id          uuid NOT NULL UNIQUE,
    processor   text NOT NULL,
    credentials bytea NOT NULL,
    test_mode   boolean NOT NULL,
    active      boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, id)
);
CREATE UNIQUE INDEX processor_accounts_active ON processor_accounts (merchant_id, processor) WHERE active;

CREATE TABLE payments (
    merchant_id                uuid NOT NULL,
    id                         uuid NOT NULL,
    state                      text NOT NULL CHECK (state IN ('PROCESSING', 'PENDING', 'IN_REVIEW', 'AUTHORIZED',
                                                              'COMPLETED', 'FAILED', 'CANCELLED', 'REFUNDED')),
    amount                     bigint NOT NULL CHECK (amount > 0),
    currency                   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    method                     text NOT NULL,
    capture_method             text NOT NULL,
    amount_authorized          bigint NOT NULL CHECK (amount_authorized >= 0 AND amount_authorized <= amount),
    amount_captured            bigint NOT NULL CHECK (amount_captured >= 0 AND amount_captured <= amount_authorized),
    amount_refunded            bigint NOT NULL CHECK (amount_refunded >= 0),
    amount_refunding           bigint NOT NULL CHECK (amount_refunding >= 0),
    amount_disputed            bigint NOT NULL CHECK (amount_disputed >= 0),
    beyond_limit               boolean NOT NULL,
    card_brand                 text NOT NULL,
    card_last4                 text NOT NULL,
    card_exp_month             smallint,
    card_exp_year              smallint,
    card_fingerprint           text NOT NULL,
    customer_id                text NOT NULL,
    customer_email             text NOT NULL,
    customer_ip                text NOT NULL,
    customer_device_id         text NOT NULL,
    billing_address            jsonb NOT NULL,
    shipping_address           jsonb NOT NULL,
    description                text NOT NULL,
    metadata                   jsonb NOT NULL,
    return_url                 text NOT NULL,
    cancel_url                 text NOT NULL,
    redirect_url               text NOT NULL,
    failure                    jsonb,
    processor                  text NOT NULL,
    processor_account_id       uuid NOT NULL,
    processor_payment_id       text NOT NULL,
    processor_authorization_id text NOT NULL,
    processor_capture_id       text NOT NULL,
    test_mode                  boolean NOT NULL,
    created_at                 timestamptz NOT NULL,
    updated_at                 timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    -- Our own refunds stay within what was captured. What a processor reports is booked even beyond it, and flagged.
    CONSTRAINT refunds_within_captured CHECK (beyond_limit OR amount_refunded + amount_refunding <= amount_captured)
) WITH (fillfactor = 85);
COMMENT ON COLUMN payments.amount IS 'Minor units of currency, as are all amounts.';
CREATE INDEX payments_by_customer ON payments (merchant_id, customer_id, id) WHERE customer_id <> '';
CREATE INDEX payments_by_card ON payments (merchant_id, card_fingerprint, id) WHERE card_fingerprint <> '';
CREATE INDEX payments_by_email ON payments (merchant_id, customer_email, id) WHERE customer_email <> '';
CREATE INDEX payments_by_ip ON payments (merchant_id, customer_ip, id) WHERE customer_ip <> '';
CREATE INDEX payments_by_device ON payments (merchant_id, customer_device_id, id) WHERE customer_device_id <> '';

CREATE TABLE transactions (
    merchant_id              uuid NOT NULL,
    id                       uuid NOT NULL,
    payment_id               uuid NOT NULL,
    type                     text NOT NULL CHECK (type IN ('AUTHORIZATION', 'CAPTURE', 'VOID', 'REFUND', 'CHARGEBACK',
                                                           'DISPUTE')),
    state                    text NOT NULL CHECK (state IN ('PENDING', 'UNKNOWN', 'COMPLETED', 'FAILED', 'CANCELLED')),
    amount                   bigint NOT NULL CHECK (amount > 0),
    currency                 text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    processor                text NOT NULL,
    processor_account_id     uuid NOT NULL,
    processor_transaction_id text NOT NULL,
    reason                   text NOT NULL,
    failure                  jsonb,
    waiting                  boolean NOT NULL,
    owner                    uuid,
    lease_until              timestamptz NOT NULL,
    attempts                 integer NOT NULL,
    idempotency_keys         jsonb NOT NULL,
    detail                   jsonb NOT NULL,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, id)
) WITH (fillfactor = 85);
CREATE INDEX transactions_by_payment ON transactions (merchant_id, payment_id, id);
-- One authorization, capture or void at a time on a payment; an authorization that waits for its customer lets go.
CREATE UNIQUE INDEX transactions_slot ON transactions (merchant_id, payment_id)
    WHERE state IN ('PENDING', 'UNKNOWN') AND type IN ('AUTHORIZATION', 'CAPTURE', 'VOID')
          AND NOT (type = 'AUTHORIZATION' AND waiting);
-- A webhook names our transaction before its merchant is known.
CREATE INDEX transactions_by_id ON transactions (id);
CREATE INDEX transactions_open ON transactions (lease_until) WHERE state IN ('PENDING', 'UNKNOWN');

CREATE TABLE processor_objects (
    account_id  uuid NOT NULL,
    object_id   text NOT NULL,
    merchant_id uuid NOT NULL,
    payment_id  uuid NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (account_id, object_id)
);

CREATE TABLE fraud_decisions (
    merchant_id       uuid NOT NULL,
    payment_id        uuid NOT NULL,
    outcome           text NOT NULL CHECK (outcome IN ('ALLOW', 'CHALLENGE', 'REVIEW', 'BLOCK')),
    score_thousandths integer NOT NULL,
    rules             jsonb NOT NULL,
    shadow_rules      jsonb NOT NULL,
    ruleset           text NOT NULL,
    facts             jsonb NOT NULL,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_id)
);

CREATE TABLE idempotency_keys (
    merchant_id    uuid NOT NULL,
    key            text NOT NULL,
    attempt_id     uuid NOT NULL,
    request_hash   bytea NOT NULL,
    payment_id     uuid NOT NULL,
    transaction_id uuid NOT NULL,
    answer         jsonb,
    created_at     timestamptz NOT NULL,
    answered_at    timestamptz,
    PRIMARY KEY (merchant_id, key)
) WITH (fillfactor = 85);
COMMENT ON COLUMN idempotency_keys.answer IS 'The final answer; NULL while its transaction is open.';
CREATE INDEX idempotency_keys_by_age ON idempotency_keys USING brin (answered_at);

CREATE TABLE ledger_entries (
    merchant_id         uuid NOT NULL,
    id                  uuid NOT NULL,
    journal_id          uuid NOT NULL,
    kind                text NOT NULL,
    account             text NOT NULL,
    amount              bigint NOT NULL CHECK (amount <> 0),
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    payment_id          uuid NOT NULL,
    transaction_id      uuid NOT NULL,
    processor_reference text NOT NULL,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
COMMENT ON COLUMN ledger_entries.amount IS 'Minor units; a debit is positive, a credit negative.';

CREATE TABLE events (
    merchant_id uuid NOT NULL,
    id          uuid NOT NULL,
    sequence    bigint,
    type        text NOT NULL,
    payment_id  uuid NOT NULL,
    transaction_id uuid NOT NULL,
    data        jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
COMMENT ON COLUMN events.sequence IS 'Given after commit by one sequencer per merchant; NULL until then.';

CREATE TABLE processor_events (
    account_id             uuid NOT NULL,
    event_id               text NOT NULL,
    processor              text NOT NULL,
    type                   text NOT NULL,
    subject                text NOT NULL,
    processor_payment_id   text NOT NULL,
    processor_object_id    text NOT NULL,
    transaction_id         uuid,
    body                   bytea NOT NULL,
    result                 text,
    attempts               integer NOT NULL,
    created_at             timestamptz NOT NULL,
    received_at            timestamptz NOT NULL DEFAULT now(),
    next_attempt_at        timestamptz NOT NULL DEFAULT now(),
    handled_at             timestamptz,
    PRIMARY KEY (account_id, event_id)
);
CREATE INDEX processor_events_unhandled ON processor_events (next_attempt_at) WHERE handled_at IS NULL;

CREATE TABLE attention_items (
    merchant_id    uuid NOT NULL,
    id             uuid NOT NULL,
    payment_id     uuid NOT NULL,
    transaction_id uuid NOT NULL,
    kind           text NOT NULL,
    detail         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    PRIMARY KEY (merchant_id, id)
);
CREATE UNIQUE INDEX attention_items_open ON attention_items (merchant_id, transaction_id, kind)
    WHERE resolved_at IS NULL;
"""

# Postgres checks every journal as its rows are inserted; all lines of a journal come in one statement.
LEDGER_GUARD = """
CREATE FUNCTION check_journals_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM inserted GROUP BY merchant_id, journal_id, currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'a journal does not sum to zero' USING ERRCODE = '23514', TABLE = 'ledger_entries';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER journals_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION check_journals_balance();
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON merchants, api_keys, processor_accounts, payments, transactions, processor_objects,
    fraud_decisions, events, processor_events, attention_items TO {writer};
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO {writer};
GRANT SELECT, INSERT ON ledger_entries TO {writer};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader};
REVOKE SELECT ON api_keys, processor_accounts FROM {reader};
"""


def upgrade() -> None:
    """Creates everything."""
    attributes = context.config.attributes
    quote = op.get_bind().dialect.identifier_preparer.quote
    op.execute(text(TABLES))
    op.execute(text(LEDGER_GUARD))
    op.execute(text(GRANTS.format(writer=quote(attributes["writer"]), reader=quote(attributes["reader"]))))
