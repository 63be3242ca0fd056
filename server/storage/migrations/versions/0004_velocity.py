"""What payments are counted by, what processors and networks said of them, counters, and daily limits."""

from alembic import context, op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"

COLUMNS = """
ALTER TABLE payments
    ADD COLUMN customer_phone      text NOT NULL DEFAULT '',
    ADD COLUMN customer_user_agent text NOT NULL DEFAULT '',
    ADD COLUMN card_bin            text NOT NULL DEFAULT '',
    ADD COLUMN email_key           text NOT NULL DEFAULT '',
    ADD COLUMN email_domain        text NOT NULL DEFAULT '',
    ADD COLUMN holder_hash         text NOT NULL DEFAULT '',
    ADD COLUMN shipping_key        text NOT NULL DEFAULT '',
    ADD COLUMN processor_checks    jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN early_fraud_warning boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN payments.card_bin IS 'The first eight digits of a card number of sixteen digits, else the first six.';
COMMENT ON COLUMN payments.email_key IS 'customer_email in lower case.';
COMMENT ON COLUMN payments.holder_hash IS 'Keyed hash of the name on the card, in lower case.';
COMMENT ON COLUMN payments.shipping_key IS 'Keyed hash of the address that the parcel goes to, in lower case.';
COMMENT ON COLUMN payments.processor_checks IS 'What the processor said of address, postcode, CVC and 3-D Secure.';
COMMENT ON COLUMN payments.early_fraud_warning IS 'The card network has warned that the cardholder reports a fraud.';

UPDATE payments SET email_key = lower(customer_email), email_domain = lower(regexp_replace(customer_email, '^.*@', ''))
WHERE customer_email <> '';
DROP INDEX payments_by_email;
CREATE INDEX payments_by_email ON payments (merchant_id, email_key, id) WHERE email_key <> '';
CREATE INDEX payments_by_holder ON payments (merchant_id, holder_hash, id) WHERE holder_hash <> '';
CREATE INDEX payments_by_shipping ON payments (merchant_id, shipping_key, id) WHERE shipping_key <> '';
CREATE INDEX payments_by_bin ON payments (merchant_id, card_bin, id) WHERE card_bin <> '';
CREATE INDEX payments_by_email_domain ON payments (merchant_id, email_domain, id) WHERE email_domain <> '';
"""

KINDS = ("payments", "approvals", "declines", "blocks", "refunds", "disputes", "early_fraud_warnings")
_SUMS = ", ".join(f"{kind}, {kind}_amount" for kind in KINDS)

COUNTERS = f"""
CREATE TABLE velocity_counters (
    merchant_id uuid NOT NULL,
    dimension   text NOT NULL CHECK (dimension IN ('merchant', 'bin', 'email_domain')),
    value       text NOT NULL,
    start_s     bigint NOT NULL,
    width_s     integer NOT NULL,
    currency    text NOT NULL,
    slot        smallint NOT NULL,
    {", ".join(f"{kind} bigint NOT NULL, {kind}_amount bigint NOT NULL" for kind in KINDS)},
    PRIMARY KEY (merchant_id, dimension, value, start_s, width_s, currency, slot)
) WITH (fillfactor = 80);
COMMENT ON TABLE velocity_counters IS 'Payments and their amounts, by when they were made and as they stand now.';
COMMENT ON COLUMN velocity_counters.start_s IS 'Seconds since 1970; the bucket ends width_s seconds later.';
COMMENT ON COLUMN velocity_counters.slot IS 'Of two transactions at a time none writes the row of the other.';
CREATE INDEX velocity_counters_to_fold ON velocity_counters (width_s, start_s) WHERE width_s < 2592000;
"""

# As `storage.velocity_scans` has them, for a row `p` of payments.
WEIGHTS = {
    "payments": ("true", "p.amount"),
    "approvals": ("p.amount_authorized > 0", "p.amount"),
    "declines": (
        "p.state = 'FAILED' AND p.failure->>'code' NOT IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE', "
        "'PROCESSOR_UNAVAILABLE', 'PROCESSOR_REJECTED', 'NOT_SUBMITTED')",
        "p.amount",
    ),
    "blocks": ("p.state = 'FAILED' AND p.failure->>'code' IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE')", "p.amount"),
    "refunds": ("p.amount_refunded > 0", "p.amount_refunded"),
    "disputes": ("p.amount_disputed > 0", "p.amount"),
    "early_fraud_warnings": ("p.early_fraud_warning", "p.amount"),
}
_WEIGHED = ", ".join(
    f"COALESCE(sum(p.sign) FILTER (WHERE {condition}), 0) AS {kind}, "
    f"COALESCE(sum(p.sign * {amount}) FILTER (WHERE {condition}), 0) AS {kind}_amount"
    for kind, (condition, amount) in WEIGHTS.items()
)
_READ = (
    "merchant_id, created_at, card_bin, email_domain, currency, amount, amount_authorized, amount_refunded, "
    "amount_disputed, state, failure, early_fraud_warning"
)
_ADDED = ", ".join(f"{name} = c.{name} + EXCLUDED.{name}" for kind in KINDS for name in (kind, f"{kind}_amount"))


def counting(source: str, *, width_s: int = 10, slot: str = "slot.number") -> str:
    """Writes the statement that adds rows of `source` (with a `sign`) to their counters, in order of their keys."""
    return f"""
    INSERT INTO velocity_counters AS c (merchant_id, dimension, value, start_s, width_s, currency, slot, {_SUMS})
    SELECT merchant_id, dimension, value, start_s, {width_s}, currency, {slot}, {_SUMS} FROM (
        SELECT p.merchant_id, d.dimension, d.value,
               floor(extract(epoch FROM p.created_at) / {width_s})::bigint * {width_s} AS start_s, p.currency,
               {_WEIGHED}
        FROM ({source}) p
        CROSS JOIN LATERAL (VALUES ('merchant', ''), ('bin', p.card_bin), ('email_domain', p.email_domain))
            AS d(dimension, value)
        WHERE d.dimension = 'merchant' OR d.value <> ''
        GROUP BY 1, 2, 3, 4, 5
    ) counted CROSS JOIN slot
    WHERE ROW ({_SUMS}) IS DISTINCT FROM ROW ({", ".join(["0"] * 14)})
    ORDER BY merchant_id, dimension, value, start_s, currency
    ON CONFLICT (merchant_id, dimension, value, start_s, width_s, currency, slot) DO UPDATE SET {_ADDED}"""


# Whoever changes a payment, by whatever statement, changes its counters in the same transaction. The first slot that is
# free is taken until the transaction ends, so two transactions never wait for each other's row, let alone deadlock.
SLOT = """
    WITH slot AS MATERIALIZED (
        SELECT COALESCE((
            SELECT n FROM generate_series(0, 62) AS n
            WHERE pg_try_advisory_xact_lock(hashtext('kassa.velocity_counters'), n) LIMIT 1), 63) AS number)
"""

TRIGGERS = f"""
CREATE FUNCTION count_new_payments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {SLOT} {counting(f"SELECT 1 AS sign, {_READ} FROM made")};
    RETURN NULL;
END $$;
CREATE TRIGGER payments_counted AFTER INSERT ON payments
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_new_payments();

CREATE FUNCTION count_changed_payments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {SLOT} {counting(f"SELECT 1 AS sign, {_READ} FROM stands UNION ALL SELECT -1, {_READ} FROM stood")};
    RETURN NULL;
END $$;
CREATE TRIGGER payments_counted_anew AFTER UPDATE ON payments
    REFERENCING OLD TABLE AS stood NEW TABLE AS stands FOR EACH STATEMENT EXECUTE FUNCTION count_changed_payments();

-- What is there already when this revision comes; a bucket of an hour does for the past.
WITH slot AS (SELECT 0 AS number) {counting(f"SELECT 1 AS sign, {_READ} FROM payments", width_s=3600)};
"""

DAILY_LIMITS = """
ALTER TABLE merchants ADD COLUMN max_daily_transactions integer NOT NULL DEFAULT 0 CHECK (max_daily_transactions >= 0);
COMMENT ON COLUMN merchants.max_daily_transactions IS '0: as the server is set.';

CREATE TABLE daily_transactions (
    merchant_id uuid NOT NULL,
    day         date NOT NULL,
    opened      integer NOT NULL CHECK (opened >= 0),
    PRIMARY KEY (merchant_id, day)
) WITH (fillfactor = 50);
COMMENT ON TABLE daily_transactions IS 'Payments that limited merchants opened on a day of their own time zones.';
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON velocity_counters, daily_transactions TO {writer};
GRANT SELECT ON velocity_counters, daily_transactions TO {reader};
"""


def upgrade() -> None:
    """Creates everything."""
    attributes = context.config.attributes
    quote = op.get_bind().dialect.identifier_preparer.quote
    for statements in (COLUMNS, COUNTERS, TRIGGERS, DAILY_LIMITS):
        op.execute(text(statements.replace(":", r"\:")))
    op.execute(text(GRANTS.format(writer=quote(attributes["writer"]), reader=quote(attributes["reader"]))))
