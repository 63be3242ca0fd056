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


# Each payment's rows are found by index, one payment after the other. A join of what was found would be quadratic,
# since Postgres cannot know how many payments there are.
_LOOKED = """
    WITH looked AS MATERIALIZED (
        SELECT merchant_id, payment_id
        FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS q(merchant_id uuid, payment_id uuid)),
    payment AS (
        SELECT p.*, p.id AS payment_id FROM looked q JOIN payments p ON p.merchant_id = q.merchant_id
        AND p.id = q.payment_id)
"""
# A compensation gives back what stands in no payment, so it counts for none.
_OWN = """
    (SELECT *, state IN ('PENDING', 'UNKNOWN') AS open FROM transactions t
     WHERE t.merchant_id = p.merchant_id AND t.payment_id = p.id AND NOT jsonb_exists(t.detail, 'compensates'))
"""


def _check(name: str, says: str, statement: str) -> Check:
    return Check(name, says, text(_LOOKED + statement))


JOURNALS = _check(
    "journals_balance",
    "every journal sums to zero in every currency",
    """
    SELECT p.merchant_id, p.payment_id, format('journal %s sums to %s %s', j.journal_id, j.sum, j.currency) AS detail
    FROM payment p CROSS JOIN LATERAL (
        SELECT journal_id, currency, sum(amount) FROM ledger_entries l
        WHERE l.merchant_id = p.merchant_id AND l.payment_id = p.payment_id
        GROUP BY journal_id, currency HAVING sum(amount) <> 0) AS j
    """,
)
LEDGER = _check(
    "ledger_equals_payment",
    "the ledger's accounts say what the payment says: captured, refunded, withdrawn for disputes, withheld",
    """
    SELECT p.merchant_id, p.payment_id, format('captured, refunded, withdrawn, held in the ledger: %s %s; here: %s %s',
        l.balances, COALESCE(l.currencies::text, ''), b.balances, p.currency) AS detail
    FROM payment p CROSS JOIN LATERAL (
        SELECT ARRAY[
                -COALESCE(sum(amount) FILTER (WHERE account = 'merchant_payable'), 0),
                COALESCE(sum(amount) FILTER (WHERE account = 'refunds'), 0),
                COALESCE(sum(amount) FILTER (WHERE account = 'disputes'), 0),
                COALESCE(sum(amount) FILTER (WHERE account = 'reserve'), 0)] AS balances,
            array_agg(DISTINCT currency) FILTER (WHERE account NOT IN ('fees', 'processor_receivable')) AS currencies
        FROM ledger_entries l WHERE l.merchant_id = p.merchant_id AND l.payment_id = p.payment_id) AS l
    CROSS JOIN LATERAL (
        SELECT ARRAY[p.amount_captured, p.amount_refunded, COALESCE(sum(amount_withdrawn), 0),
            COALESCE(sum(amount_held), 0)] AS balances
        FROM disputes d WHERE d.merchant_id = p.merchant_id AND d.payment_id = p.payment_id) AS b
    WHERE l.balances <> b.balances OR l.currencies <> ARRAY[p.currency]
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
    f"""
    SELECT p.merchant_id, p.payment_id, format('transactions: %s done, %s under way; payment: %s and %s',
        r.done, r.under_way, p.amount_refunded, p.amount_refunding) AS detail
    FROM payment p CROSS JOIN LATERAL (
        SELECT COALESCE(sum(o.amount) FILTER (WHERE o.state = 'COMPLETED'), 0) AS done,
            COALESCE(sum(o.amount) FILTER (WHERE o.open), 0) AS under_way
        FROM {_OWN} AS o WHERE o.type = 'REFUND') AS r
    WHERE (r.done, r.under_way) <> (p.amount_refunded, p.amount_refunding)
    """,
)
DISPUTED = _check(
    "disputes_add_up",
    "the payment's disputed amount is the sum of its disputes: what open ones ask for, and what ended ones took",
    """
    SELECT p.merchant_id, p.payment_id, format('disputes: %s; payment: %s', d.sum, p.amount_disputed) AS detail
    FROM payment p CROSS JOIN LATERAL (
        SELECT COALESCE(sum(CASE
            WHEN d.state NOT IN ('NEEDS_RESPONSE', 'UNDER_REVIEW') THEN d.amount_withdrawn + d.amount_held
            WHEN d.inquiry THEN 0 ELSE d.amount END), 0) AS sum
        FROM disputes d WHERE d.merchant_id = p.merchant_id AND d.payment_id = p.payment_id) AS d
    WHERE d.sum <> p.amount_disputed
    """,
)
STATE = _check(
    "state_follows_transactions",
    "a payment's state and captured amount are what its transactions say",
    f"""
    SELECT p.merchant_id, p.payment_id,
        format('%s, captured %s; authorizing %s, authorized %s, voided %s, capture of %s', p.state, p.amount_captured,
            f.authorizing, f.authorized, f.voided, COALESCE(f.captured, 0)) AS detail
    FROM payment p CROSS JOIN LATERAL (
        SELECT COALESCE(bool_or(o.type = 'AUTHORIZATION' AND o.open), false) AS authorizing,
            COALESCE(bool_or(o.type = 'AUTHORIZATION' AND o.state = 'COMPLETED'), false) AS authorized,
            COALESCE(bool_or(o.type = 'VOID' AND o.state = 'COMPLETED'), false) AS voided,
            sum(o.amount) FILTER (WHERE o.type = 'CAPTURE' AND o.state = 'COMPLETED') AS captured
        FROM {_OWN} AS o) AS f
    WHERE NOT CASE
        WHEN p.state IN ('PROCESSING', 'PENDING') THEN f.authorizing AND NOT f.authorized AND p.amount_captured = 0
        WHEN p.state IN ('AUTHORIZED', 'IN_REVIEW')
            THEN f.authorized AND f.captured IS NULL AND NOT f.voided AND p.amount_captured = 0
        WHEN p.state = 'COMPLETED' THEN f.authorized AND NOT f.voided AND p.amount_captured > p.amount_refunded
        WHEN p.state = 'REFUNDED'
            THEN f.authorized AND NOT f.voided AND p.amount_captured BETWEEN 1 AND p.amount_refunded
        WHEN p.state = 'FAILED' THEN NOT f.authorizing AND NOT f.authorized AND p.amount_captured = 0
        WHEN p.state = 'CANCELLED' THEN NOT f.authorizing AND p.amount_captured = 0
        ELSE false END
        OR f.captured IS NOT NULL AND f.captured <> p.amount_captured
    """,
)
ANSWERS = _check(
    "answers_follow_transactions",
    "a call has its final answer exactly when its transaction is over",
    f"""
    SELECT p.merchant_id, p.payment_id, format('the %s is %s, and the call of its key has %s answer', o.type, o.state,
        CASE WHEN k.answered THEN 'an' ELSE 'no' END) AS detail
    FROM payment p CROSS JOIN LATERAL {_OWN} AS o
    CROSS JOIN LATERAL jsonb_array_elements_text(o.idempotency_keys) AS named(key)
    CROSS JOIN LATERAL (
        SELECT answer IS NOT NULL AS answered FROM idempotency_keys i
        WHERE i.merchant_id = p.merchant_id AND i.key = named.key AND i.transaction_id = o.id OFFSET 0) AS k
    WHERE o.type IN ('AUTHORIZATION', 'CAPTURE', 'VOID', 'REFUND') AND k.answered = o.open
    """,
)
REVIEWS = _check(
    "reviews_follow_payments",
    "a review is open exactly while its payment is in review",
    """
    SELECT p.merchant_id, p.payment_id, format('the payment is %s, its review %s', p.state,
        COALESCE(r.state, 'is none')) AS detail
    FROM payment p LEFT JOIN reviews r ON r.merchant_id = p.merchant_id AND r.payment_id = p.payment_id
    WHERE (p.state = 'IN_REVIEW') <> COALESCE(r.state = 'OPEN', false)
    """,
)
CHECKS = (JOURNALS, LEDGER, CAPTURED, REFUNDED, REFUNDS, DISPUTED, STATE, ANSWERS, REVIEWS)
PROCESSOR_TOTALS = "processor_totals"
"""The name under which `usecases.compare_processor` reports: captured and refunded are what the processor says."""


def run_check(connection: Connection, check: Check, payments: Sequence[Key]) -> list[Drift]:
    """Returns those of the payments that break the check."""
    keys = [{"merchant_id": merchant_id, "payment_id": payment_id} for merchant_id, payment_id in payments]
    rows = connection.execute(check.statement, {"keys": dumps(keys)}).mappings()
    return [Drift(check.name, **row) for row in rows]
