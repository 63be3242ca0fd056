"""Reviews of held payments, analysts' labels, and list entries that are added while servers run."""

from alembic import context, op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"

REVIEWS = """
CREATE TABLE reviews (
    merchant_id     uuid NOT NULL,
    payment_id      uuid NOT NULL,
    state           text NOT NULL CHECK (state IN ('OPEN', 'APPROVED', 'REJECTED')),
    deadline        timestamptz NOT NULL,
    default_verdict text NOT NULL CHECK (default_verdict IN ('APPROVE', 'REJECT')),
    claimed_by      text NOT NULL DEFAULT '',
    claimed_until   timestamptz,
    decided_by      text NOT NULL DEFAULT '',
    decided_through text,
    reason          text NOT NULL DEFAULT '',
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    closed_at       timestamptz,
    PRIMARY KEY (merchant_id, payment_id),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, id),
    CHECK ((state = 'OPEN') = (closed_at IS NULL) AND (state = 'OPEN') = (decided_through IS NULL))
);
COMMENT ON TABLE reviews IS 'A payment that is, or was, IN_REVIEW; open exactly while it is.';
CREATE INDEX reviews_open ON reviews (merchant_id, deadline, payment_id) WHERE state = 'OPEN';
CREATE INDEX reviews_due ON reviews (next_attempt_at) WHERE state = 'OPEN';
-- The platform lists the reviews of all merchants, and names one by its payment alone.
CREATE INDEX reviews_open_by_deadline ON reviews (deadline, payment_id) WHERE state = 'OPEN';
CREATE INDEX reviews_by_payment ON reviews (payment_id);
-- What is in review already when this revision comes has a day, within the time of its hold.
INSERT INTO reviews (merchant_id, payment_id, state, deadline, default_verdict, next_attempt_at, created_at)
SELECT merchant_id, id, 'OPEN', deadline, 'REJECT', deadline, updated_at FROM (
    SELECT p.merchant_id, p.id, p.updated_at,
        LEAST(now() + interval '24 hours', d.expires_at - interval '1 hour') AS deadline
    FROM payments p LEFT JOIN payment_deadlines d ON d.merchant_id = p.merchant_id AND d.payment_id = p.id
    WHERE p.state = 'IN_REVIEW') AS held;

CREATE TABLE review_notes (
    merchant_id uuid NOT NULL,
    payment_id  uuid NOT NULL,
    id          uuid NOT NULL,
    author      text NOT NULL,
    text        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, payment_id, id),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES reviews (merchant_id, payment_id)
);
"""

DECISIONS = """
CREATE TABLE fraud_labels (
    merchant_id uuid NOT NULL,
    payment_id  uuid NOT NULL,
    label       text NOT NULL CHECK (label IN ('FRAUD', 'LEGIT')),
    source      text NOT NULL CHECK (source IN ('ANALYST')),
    author      text NOT NULL,
    note        text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, payment_id),
    FOREIGN KEY (merchant_id, payment_id) REFERENCES payments (merchant_id, id)
);
COMMENT ON TABLE fraud_labels IS 'What people say of payments; storage/labels.py merges what disputes tell.';
"""

LISTS = """
CREATE TABLE fraud_list_entries (
    merchant_id uuid NOT NULL,
    id          uuid NOT NULL,
    list_name   text NOT NULL,
    value       text NOT NULL,
    author      text NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    removed_at  timestamptz,
    removed_by  text NOT NULL DEFAULT '',
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id)
);
COMMENT ON COLUMN fraud_list_entries.merchant_id IS 'The nil UUID: it concerns the payments of all merchants.';
COMMENT ON COLUMN fraud_list_entries.changed_at IS 'Rises with every change, in the order of commits.';
CREATE UNIQUE INDEX fraud_list_entries_standing ON fraud_list_entries (merchant_id, list_name, value)
    WHERE removed_at IS NULL;
CREATE INDEX fraud_list_entries_by_id ON fraud_list_entries (id);
CREATE INDEX fraud_list_entries_by_change ON fraud_list_entries (changed_at);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE ON reviews, fraud_labels, fraud_list_entries TO {writer};
GRANT SELECT, INSERT ON review_notes TO {writer};
GRANT SELECT ON reviews, review_notes, fraud_labels, fraud_list_entries TO {reader};
"""


def upgrade() -> None:
    """Creates everything."""
    attributes = context.config.attributes
    quote = op.get_bind().dialect.identifier_preparer.quote
    for statements in (REVIEWS, DECISIONS, LISTS):
        op.execute(text(statements))
    op.execute(text(GRANTS.format(writer=quote(attributes["writer"]), reader=quote(attributes["reader"]))))
