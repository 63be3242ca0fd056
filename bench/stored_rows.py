"""The statements by which `stored` makes a chunk of past payments inside Postgres, table by table.

A chunk is first drawn into a temporary table, a row a payment: when it was made, by whom and for whom, and its ids,
which carry their times as `server.domain.ids` makes them. Everything else follows from that row and from what the
gateway wrote for one payment (`payment.json`). What the documents say of ids, people and times is each payment's own;
amounts are those of `buyers.order`, and what lies deep in a processor's answer is the one payment's.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from bench.buyers import BUYERS, MERCHANT_PREFIX, MERCHANTS
from bench.pgbench import documents
from server.storage.engine import dumps
from server.storage.velocity_counters import WIDTHS

TABLES: Final = (
    "payments", "fraud_decisions", "transactions", "processor_objects", "ledger_entries", "events", "idempotency_keys",
    "processor_calls",
)  # fmt: skip
"""What is written beside the counters of velocity."""
KEYS_KEPT_US: Final = 86_400_000_000
"""Younger idempotency keys alone are there: retention has taken the others."""
BINS: Final = 50
"""Different card numbers' beginnings among the buyers."""

MAKE_MERCHANTS: Final = f"""
    INSERT INTO merchants (id, name, test_mode, country, time_zone, default_currency)
    SELECT ('{MERCHANT_PREFIX}' || lpad(n::text, 12, '0'))::uuid, 'Shop ' || n, true, 'US', 'UTC', 'USD'
    FROM generate_series(1, {MERCHANTS}) AS n ON CONFLICT DO NOTHING
"""


def _id(milliseconds: str, kind: str) -> str:
    """A UUIDv7 (RFC 9562, 5.7) of a moment; one draw serves all ids of a payment, told apart by their last digit."""
    return (
        f"(lpad(to_hex({milliseconds}), 12, '0') || '7' || left(digest, 3) || '8' || substr(digest, 4, 14) || '{kind}')"
        "::uuid"
    )


# OFFSET 0 keeps the planner from working out the same expression for each of its uses.
DRAW: Final = f"""
    CREATE TEMPORARY TABLE chunk ON COMMIT DROP AS
    SELECT ('{MERCHANT_PREFIX}' || lpad((1 + (draw & 2147483647) % {MERCHANTS})::text, 12, '0'))::uuid AS merchant_id,
        {_id("created_us / 1000", "0")} AS payment_id, {_id("created_us / 1000", "1")} AS transaction_id,
        {_id("settled_us / 1000", "2")} AS event_id, {_id("settled_us / 1000", "3")} AS call_id,
        {_id("settled_us / 1000", "4")} AS capture_journal, {_id("settled_us / 1000", "5")} AS fee_journal,
        ARRAY[{", ".join(_id("settled_us / 1000", digit) for digit in "6789")}] AS entry_ids,
        'epoch'::timestamptz + created_us * interval '1 microsecond' AS created_at, created_us,
        'epoch'::timestamptz + settled_us * interval '1 microsecond' AS settled_at,
        'pi_' || left(md5('intent' || digest || created_us), 24) AS intent,
        'ch_' || left(md5('charge' || digest || created_us), 24) AS charge,
        'txn_' || left(md5('balance' || digest || created_us), 24) AS balance,
        md5('key' || digest || created_us)::uuid::text AS key, md5('card' || buyer) AS card, buyer,
        'cus_' || padded AS customer, 'ada.' || padded || '@example.com' AS email, 'dev_' || padded AS device,
        '203.0.' || buyer / 250 || '.' || buyer % 250 AS ip, (42424242 + buyer % {BINS})::text AS card_bin
    FROM (
        SELECT draw, buyer, lpad(buyer::text, 8, '0') AS padded, md5(:seed || '/' || n) AS digest, created_us,
            created_us + 30000 AS settled_us
        FROM (
            SELECT n, draw, 1 + (draw >> 32 & 2147483647) % {BUYERS} AS buyer,
                :until_us - (:count - n) * :step_us + (draw >> 8 & 2147483647) % :step_us AS created_us
            FROM (SELECT n, hashint8extended(n, :seed) AS draw
                  FROM generate_series(CAST(:first AS bigint), :last) AS n OFFSET 0) AS drawn OFFSET 0) AS made
        OFFSET 0) AS known
"""
_ACCOUNT: Final = "'00000000-0000-0000-0000-000000000001'::uuid"
_FACTS: Final = """(CAST(:facts AS jsonb) || jsonb_build_object('card', card, 'bin', card_bin, 'customer', customer,
    'email', email, 'device', device, 'ip', ip))"""
_ANSWER: Final = """jsonb_build_object('payment', CAST(:payment AS jsonb) || jsonb_build_object(
    'id', payment_id, 'merchant_id', merchant_id, 'customer_id', customer, 'customer_email', email, 'customer_ip', ip,
    'customer_device_id', device, 'created_at', created_at, 'updated_at', settled_at, 'processor_payment_id', intent,
    'processor_authorization_id', charge, 'processor_capture_id', charge))"""

_REQUEST: Final = """CAST(:request AS jsonb) || jsonb_build_object('metadata[kassa_payment]', payment_id,
    'metadata[kassa_merchant]', merchant_id, 'metadata[kassa_transaction]', transaction_id)"""
_RESPONSE: Final = """CAST(:response AS jsonb) || jsonb_build_object('id', intent, 'metadata', jsonb_build_object(
    'kassa_payment', payment_id, 'kassa_merchant', merchant_id, 'kassa_transaction', transaction_id))"""


def _large(document: str) -> str:
    """A document that is left empty where the database must stay small."""
    return f"CASE WHEN :documents THEN {document} ELSE '{{}}'::jsonb END"


_PAYMENTS: Final = f"""
    INSERT INTO payments (merchant_id, id, state, amount, currency, method, capture_method, amount_authorized,
        amount_captured, amount_refunded, amount_refunding, amount_disputed, beyond_limit, card_brand, card_last4,
        card_exp_month, card_exp_year, customer_id, customer_email, customer_ip, customer_device_id, customer_phone,
        customer_user_agent, billing_address, shipping_address, description, metadata, return_url, cancel_url,
        redirect_url, failure, processor, processor_account_id, processor_payment_id, processor_authorization_id,
        processor_capture_id, test_mode, created_at, updated_at, processor_checks, early_fraud_warning,
        card_fingerprint, card_bin, email_key, email_domain, holder_hash, shipping_key)
    SELECT merchant_id, payment_id, 'COMPLETED', :amount, 'USD', 'CREDIT_CARD', 'AUTOMATIC', :amount, :amount, 0, 0, 0,
        false, 'visa', '4242', 12, 2030, customer, email, ip, device, :phone, :user_agent, CAST(:address AS jsonb),
        CAST(:address AS jsonb), :description, CAST(:metadata AS jsonb), '', '', '', NULL, 'stripe', {_ACCOUNT}, intent,
        charge, charge, true, created_at, settled_at, CAST(:checks AS jsonb), false, card, card_bin, email,
        'example.com', '7b42f7df65477f84e7ff5525990377d1', md5('address' || buyer)
    FROM chunk
"""
_TRANSACTIONS: Final = f"""
    INSERT INTO transactions (merchant_id, id, payment_id, type, state, amount, currency, processor,
        processor_account_id, processor_transaction_id, reason, failure, waiting, owner, lease_until, attempts,
        idempotency_keys, detail, created_at, updated_at)
    SELECT merchant_id, transaction_id, payment_id, 'AUTHORIZATION', 'COMPLETED', :amount, 'USD', 'stripe', {_ACCOUNT},
        charge, '', NULL, false, NULL, settled_at + interval '15 seconds', 0, jsonb_build_array(key),
        jsonb_build_object('request_id', md5('request' || key)::uuid), created_at, settled_at
    FROM chunk
"""
_REST: Final = (
    f"""
    INSERT INTO fraud_decisions (merchant_id, payment_id, outcome, score_thousandths, rules, shadow_rules, ruleset,
        facts, backend, role, shadows, created_at)
    SELECT merchant_id, payment_id, 'ALLOW', 0, '[]', '[]', :ruleset, {_large(_FACTS)}, 'engine', 'LIVE', '[]',
        created_at
    FROM chunk
    """,
    f"""
    INSERT INTO processor_objects (account_id, object_id, merchant_id, payment_id, transaction_id)
    SELECT {_ACCOUNT}, named.id, merchant_id, payment_id, transaction_id
    FROM chunk CROSS JOIN LATERAL (VALUES (charge), (intent)) AS named(id)
    """,
    """
    INSERT INTO ledger_entries (merchant_id, id, journal_id, kind, account, amount, currency, payment_id,
        transaction_id, processor_reference, created_at)
    SELECT merchant_id, line.id, line.journal_id, line.kind, line.account, line.amount, 'USD', payment_id,
        transaction_id, line.reference, settled_at
    FROM chunk CROSS JOIN LATERAL (VALUES
        (entry_ids[1], capture_journal, 'CAPTURE', 'processor_receivable', :amount, charge),
        (entry_ids[2], capture_journal, 'CAPTURE', 'merchant_payable', -:amount, charge),
        (entry_ids[3], fee_journal, 'FEE', 'fees', :fee, balance),
        (entry_ids[4], fee_journal, 'FEE', 'processor_receivable', -:fee, balance)
    ) AS line(id, journal_id, kind, account, amount, reference)
    """,
    f"""
    INSERT INTO events (merchant_id, id, type, payment_id, transaction_id, data, created_at)
    SELECT merchant_id, event_id, 'payment.completed', payment_id, transaction_id, {_large(_ANSWER)}, settled_at
    FROM chunk
    """,
    f"""
    INSERT INTO idempotency_keys (merchant_id, key, attempt_id, request_hash, payment_id, transaction_id, answer,
        created_at, answered_at)
    SELECT merchant_id, key, md5('attempt' || key)::uuid, sha256(key::bytea), payment_id, transaction_id, {_ANSWER},
        created_at, settled_at
    FROM chunk WHERE settled_at > 'epoch'::timestamptz + (:until_us - {KEYS_KEPT_US}) * interval '1 microsecond'
    """,
    f"""
    INSERT INTO processor_calls (merchant_id, payment_id, id, transaction_id, processor, processor_account_id,
        operation, idempotency_key, request, status, response, error, processor_request_id, started_at, duration_us)
    SELECT merchant_id, payment_id, call_id, transaction_id, 'stripe', {_ACCOUNT}, 'POST v1/payment_intents',
        transaction_id, {_large(_REQUEST)}, 200, {_large(_RESPONSE)},
        '', 'req_' || left(md5('said' || key), 14), created_at + interval '20 milliseconds', 4810
    FROM chunk
    """,
)
INSERTS: Final[Sequence[str]] = (_PAYMENTS, _TRANSACTIONS, *_REST)


def constants() -> dict[str, Any]:
    """What the statements take from the one payment that the gateway wrote."""
    payment, known = documents()["payment"], documents()
    parts = {
        "payment": payment, "facts": known["facts"], "address": payment["billing_address"],
        "metadata": payment["metadata"], "checks": payment["processor_checks"], "request": known["request"],
        "response": known["response"],
    }  # fmt: skip
    return {name: dumps(part) for name, part in parts.items()} | {
        "amount": payment["amount"], "fee": known["response"]["latest_charge"]["balance_transaction"]["fee"],
        "phone": payment["customer_phone"], "user_agent": payment["customer_user_agent"],
        "description": payment["description"], "ruleset": payment["fraud"]["ruleset"],
    }  # fmt: skip


def counting(at_s: int, first_s: int, last_s: int) -> list[str]:
    """The statements that count a chunk whose payments were made from `first_s` to `last_s`, seconds since 1970.

    As revision 0004 counts what it finds, but in buckets as wide as the worker would have made them by `at_s`.
    """
    revision = import_module("server.storage.migrations.versions.0004_velocity")
    statements, ends_s = [], last_s + 1
    widths = (*(narrow_s for narrow_s, _, _ in WIDTHS), WIDTHS[-1][1])
    for width_s, begins_s in zip(widths, (*_cuts(at_s), 0), strict=True):
        if begins_s < ends_s and first_s < ends_s:
            source = f"""
                SELECT 1 AS sign, merchant_id, created_at, card_bin, 'example.com' AS email_domain, 'USD' AS currency,
                    CAST(:amount AS bigint) AS amount, CAST(:amount AS bigint) AS amount_authorized,
                    0::bigint AS amount_refunded, 0::bigint AS amount_disputed, 'COMPLETED' AS state,
                    NULL::jsonb AS failure, false AS early_fraud_warning
                FROM chunk WHERE created_us >= {begins_s * 1_000_000} AND created_us < {ends_s * 1_000_000}"""
            counted = revision.counting(source, width_s=width_s)
            statements.append(f"WITH slot AS (SELECT 0 AS number) {counted}")
        ends_s = min(ends_s, begins_s)
    return statements


def _cuts(at_s: int) -> list[int]:
    """Where buckets of each width begin, the narrowest first; what is older was folded into wider ones."""
    return [(at_s - age_s) // wide_s * wide_s for _, wide_s, age_s in WIDTHS]
