"""What must hold of every payment, as statements that return those of which it does not. Run by `usecases.check_books`.

Each check is one statement, so it sees one snapshot: a payment that is being settled is seen before or after, never in
between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from server.storage.engine import dumps
from server.storage.locking import Key


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant. Its statement returns merchant_id, payment_id and a detail of those in `looked` that break it."""

    name: str
    says: str
    statement: TextClause


@dataclass(frozen=True, slots=True)
class Drift:
    """A payment that breaks a check; `detail` says how, in words without card data."""

    check: str
    merchant_id: UUID
    payment_id: UUID
    detail: str


_LOOKED = """
    looked AS MATERIALIZED (
        SELECT merchant_id, payment_id
        FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, payment_id uuid)),
    payment AS (
        SELECT p.*, p.id AS payment_id FROM looked q JOIN payments p ON p.merchant_id = q.merchant_id
        AND p.id = q.payment_id),
    -- A compensation gives back what stands in no payment, so it counts for none.
    own AS (
        SELECT t.*, t.state IN ('PENDING', 'UNKNOWN') AS open FROM looked q JOIN transactions t
        ON t.merchant_id = q.merchant_id AND t.payment_id = q.payment_id
        WHERE NOT jsonb_exists(t.detail, 'compensates')),
    entry AS (
        SELECT l.* FROM looked q JOIN ledger_entries l
        ON l.merchant_id = q.merchant_id AND l.payment_id = q.payment_id)
"""


def _check(name: str, says: str, statement: str) -> Check:
    return Check(name, says, text(f"WITH {_LOOKED} {statement}"))


JOURNALS = _check(
    "journals_balance",
    "every journal sums to zero in every currency",
    """
    SELECT merchant_id, payment_id, format('journal %s sums to %s %s', journal_id, sum(amount), currency) AS detail
    FROM entry GROUP BY merchant_id, payment_id, journal_id, currency HAVING sum(amount) <> 0
    """,
)
LEDGER = _check(
    "ledger_equals_payment",
    "the ledger's accounts say what the payment says: captured, refunded, withdrawn for disputes, withheld",
    """
    , told AS (
        SELECT merchant_id, payment_id, sum(amount_withdrawn) AS withdrawn, sum(amount_held) AS held
        FROM looked JOIN disputes USING (merchant_id, payment_id) GROUP BY merchant_id, payment_id),
    booked AS (
        SELECT merchant_id, payment_id,
            -COALESCE(sum(amount) FILTER (WHERE account = 'merchant_payable'), 0) AS captured,
            COALESCE(sum(amount) FILTER (WHERE account = 'refunds'), 0) AS refunded,
            COALESCE(sum(amount) FILTER (WHERE account = 'disputes'), 0) AS withdrawn,
            COALESCE(sum(amount) FILTER (WHERE account = 'reserve'), 0) AS held,
            array_agg(DISTINCT currency) FILTER (WHERE account NOT IN ('fees', 'processor_receivable')) AS currencies
        FROM entry GROUP BY merchant_id, payment_id),
    compared AS (
        SELECT merchant_id, payment_id, currencies, currency,
            ARRAY[COALESCE(b.captured, 0), COALESCE(b.refunded, 0), COALESCE(b.withdrawn, 0), COALESCE(b.held, 0)]
                AS ledger,
            ARRAY[p.amount_captured, p.amount_refunded, COALESCE(d.withdrawn, 0), COALESCE(d.held, 0)] AS books
        FROM payment p LEFT JOIN booked b USING (merchant_id, payment_id)
        LEFT JOIN told d USING (merchant_id, payment_id))
    SELECT merchant_id, payment_id, format('captured, refunded, withdrawn, held in the ledger: %s %s; here: %s %s',
        ledger, COALESCE(currencies::text, ''), books, currency) AS detail
    FROM compared WHERE ledger <> books OR currencies <> ARRAY[currency]
    """,
)
CAPTURED = _check(
    "captured_within_authorized",
    "no more is captured than was authorized",
    """
    SELECT merchant_id, payment_id, format('captured %s of %s', amount_captured, amount_authorized) AS detail
    FROM payment WHERE amount_captured > amount_authorized
    """,
)
REFUNDED = _check(
    "refunded_within_captured",
    "no more is refunded or under way than was captured, but for what the processor reported and people were shown",
    """
    SELECT merchant_id, payment_id,
        format('refunded %s and %s under way, of %s', amount_refunded, amount_refunding, amount_captured) AS detail
    FROM payment WHERE NOT beyond_limit AND amount_refunded + amount_refunding > amount_captured
    """,
)
REFUNDS = _check(
    "refunds_add_up",
    "the payment's refunds are the sum of its refund transactions: those done, and those under way",
    """
    , sums AS (
        SELECT merchant_id, payment_id, COALESCE(sum(amount) FILTER (WHERE state = 'COMPLETED'), 0) AS done,
            COALESCE(sum(amount) FILTER (WHERE open), 0) AS under_way
        FROM own WHERE type = 'REFUND' GROUP BY merchant_id, payment_id)
    SELECT merchant_id, payment_id, format('transactions: %s done, %s under way; payment: %s and %s',
        COALESCE(done, 0), COALESCE(under_way, 0), amount_refunded, amount_refunding) AS detail
    FROM payment LEFT JOIN sums USING (merchant_id, payment_id)
    WHERE (COALESCE(done, 0), COALESCE(under_way, 0)) <> (amount_refunded, amount_refunding)
    """,
)
DISPUTED = _check(
    "disputes_add_up",
    "the payment's disputed amount is the sum of its disputes: what open ones ask for, and what ended ones took",
    """
    , sums AS (
        SELECT merchant_id, payment_id, sum(CASE
            WHEN state NOT IN ('NEEDS_RESPONSE', 'UNDER_REVIEW') THEN amount_withdrawn + amount_held
            WHEN inquiry THEN 0 ELSE amount END) AS disputed
        FROM looked JOIN disputes USING (merchant_id, payment_id) GROUP BY merchant_id, payment_id)
    SELECT merchant_id, payment_id,
        format('disputes: %s; payment: %s', COALESCE(disputed, 0), amount_disputed) AS detail
    FROM payment LEFT JOIN sums USING (merchant_id, payment_id) WHERE COALESCE(disputed, 0) <> amount_disputed
    """,
)
STATE = _check(
    "state_follows_transactions",
    "a payment's state and captured amount are what its transactions say",
    """
    , facts AS (
        SELECT merchant_id, payment_id,
            COALESCE(bool_or(type = 'AUTHORIZATION' AND open), false) AS authorizing,
            COALESCE(bool_or(type = 'AUTHORIZATION' AND o.state = 'COMPLETED'), false) AS authorized,
            COALESCE(bool_or(type = 'VOID' AND o.state = 'COMPLETED'), false) AS voided,
            sum(o.amount) FILTER (WHERE type = 'CAPTURE' AND o.state = 'COMPLETED') AS captured
        FROM looked LEFT JOIN own o USING (merchant_id, payment_id) GROUP BY merchant_id, payment_id)
    SELECT merchant_id, payment_id,
        format('%s, captured %s; authorizing %s, authorized %s, voided %s, capture of %s', p.state, p.amount_captured,
            authorizing, authorized, voided, COALESCE(captured, 0)) AS detail
    FROM payment p JOIN facts f USING (merchant_id, payment_id)
    WHERE NOT CASE
        WHEN p.state IN ('PROCESSING', 'PENDING') THEN authorizing AND NOT authorized AND p.amount_captured = 0
        WHEN p.state IN ('AUTHORIZED', 'IN_REVIEW')
            THEN authorized AND captured IS NULL AND NOT voided AND p.amount_captured = 0
        WHEN p.state = 'COMPLETED' THEN authorized AND NOT voided AND p.amount_captured > p.amount_refunded
        WHEN p.state = 'REFUNDED' THEN authorized AND NOT voided AND p.amount_captured BETWEEN 1 AND p.amount_refunded
        WHEN p.state = 'FAILED' THEN NOT authorizing AND NOT authorized AND p.amount_captured = 0
        WHEN p.state = 'CANCELLED' THEN NOT authorizing AND p.amount_captured = 0
        ELSE false END
        OR captured IS NOT NULL AND captured <> p.amount_captured
    """,
)
ANSWERS = _check(
    "answers_follow_transactions",
    "a call has its final answer exactly when its transaction is over",
    """
    SELECT o.merchant_id, o.payment_id, format('the %s is %s, and the call of its key has %s answer', o.type, o.state,
        CASE WHEN k.answer IS NULL THEN 'no' ELSE 'an' END) AS detail
    FROM own o CROSS JOIN LATERAL jsonb_array_elements_text(o.idempotency_keys) AS named(key)
    JOIN idempotency_keys k ON k.merchant_id = o.merchant_id AND k.key = named.key AND k.transaction_id = o.id
    WHERE o.type IN ('AUTHORIZATION', 'CAPTURE', 'VOID', 'REFUND') AND (k.answer IS NULL) <> o.open
    """,
)
CHECKS = (JOURNALS, LEDGER, CAPTURED, REFUNDED, REFUNDS, DISPUTED, STATE, ANSWERS)
PROCESSOR_TOTALS = "processor_totals"
"""The name under which `usecases.compare_processor` reports: captured and refunded are what the processor says."""


def run_check(connection: Connection, check: Check, payments: Sequence[Key]) -> list[Drift]:
    """Returns those of the payments that break the check."""
    keys = [{"merchant_id": merchant_id, "payment_id": payment_id} for merchant_id, payment_id in payments]
    rows = connection.execute(check.statement, {"keys": dumps(keys)}).mappings()
    return [Drift(check.name, **row) for row in rows]
