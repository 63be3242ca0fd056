"""What stands in the end on both sides, read in bulk: Kassa's database and the processors' books, for `oracle`."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import psycopg2

from sandbox.local import parts
from sandbox.local.loopback_http import ask
from sandbox.local.stack import LocalStack
from sandbox.simulator.merchants import Merchant


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment as Kassa has it; amounts in minor units. `failure` is the code, or empty."""

    id: str
    merchant_id: str
    state: str
    currency: str
    amount: int
    captured: int
    refunded: int
    refunding: int
    beyond_limit: bool
    processor_payment_id: str
    failure: str


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A transaction as Kassa has it."""

    id: str
    payment_id: str
    type: str
    state: str
    amount: int
    waiting: bool
    processor_id: str
    compensates: str
    failure: str


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger says of a payment: the sum of one account's entries in journals of one kind."""

    payment_id: str
    kind: str
    account: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """A merchant's event: `payment.completed` and its like."""

    payment_id: str
    transaction_id: str
    type: str


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A processor's webhook as Kassa has stored it; `result` is empty while it is not handled."""

    account_id: str
    event_id: str
    type: str
    handled: bool
    result: str
    payment_object: str
    object_id: str


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """What people were told."""

    payment_id: str
    transaction_id: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An idempotency key."""

    merchant_id: str
    key: str
    payment_id: str
    answered: bool


@dataclass(frozen=True, slots=True)
class RefundEntry:
    """A refund in the processor's books."""

    id: str
    reference: str
    amount: int
    state: str


@dataclass(frozen=True, slots=True)
class BookEntry:
    """A payment in the processor's books, minor units. `payment_id` and `reference` are what Kassa wrote on it."""

    id: str
    payment_id: str
    reference: str
    state: str
    currency: str
    capturable: int
    captured: int
    refunded: int
    fence: bool
    refunds: tuple[RefundEntry, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it, of the merchants of one seed.

    Attributes:
        unbalanced: Journals whose entries do not sum to zero.
        delivered: Ids of the events that the processors know to have arrived.
        undelivered: Webhooks that still wait for their 2xx.
    """

    payments: tuple[PaymentRow, ...]
    transactions: tuple[TransactionRow, ...]
    booked: tuple[Booked, ...]
    unbalanced: tuple[str, ...]
    events: tuple[EventRow, ...]
    webhooks: tuple[WebhookRow, ...]
    attention: tuple[AttentionRow, ...]
    keys: tuple[KeyRow, ...]
    books: tuple[BookEntry, ...]
    delivered: frozenset[str]
    undelivered: int


_OURS: Final = "merchant_id = ANY(%(merchants)s::uuid[])"
_PAYMENTS: Final = f"""
    SELECT id::text, merchant_id::text, state, currency, amount, amount_captured, amount_refunded, amount_refunding,
           beyond_limit, processor_payment_id, COALESCE(failure->>'code', '')
    FROM payments WHERE {_OURS}"""
_TRANSACTIONS: Final = f"""
    SELECT id::text, payment_id::text, type, state, amount, waiting, processor_transaction_id,
           COALESCE(detail->>'compensates', ''), COALESCE(failure->>'code', '')
    FROM transactions WHERE {_OURS}"""
_BOOKED: Final = f"""
    SELECT payment_id::text, kind, account, currency, sum(amount)::bigint FROM ledger_entries WHERE {_OURS}
    GROUP BY payment_id, kind, account, currency"""
_UNBALANCED: Final = f"""
    SELECT journal_id::text FROM ledger_entries WHERE {_OURS} GROUP BY journal_id, currency HAVING sum(amount) <> 0"""
_EVENTS: Final = f"SELECT payment_id::text, transaction_id::text, type FROM events WHERE {_OURS}"
_WEBHOOKS: Final = """
    SELECT account_id::text, event_id, type, handled_at IS NOT NULL, COALESCE(result, ''),
           processor_payment_id, processor_object_id
    FROM processor_events WHERE account_id = ANY(%(accounts)s::uuid[])"""
_ATTENTION: Final = f"""
    SELECT payment_id::text, transaction_id::text, kind, detail FROM attention_items WHERE {_OURS}"""
_KEYS: Final = f"""
    SELECT merchant_id::text, key, payment_id::text, answer IS NOT NULL FROM idempotency_keys WHERE {_OURS}"""


def gather(stack: LocalStack, merchants: Sequence[Merchant]) -> Evidence:
    """Reads everything about these merchants, Kassa's side first."""
    whose = {
        "merchants": [merchant.id for merchant in merchants],
        "accounts": [account for merchant in merchants for account in merchant.account_ids],
    }
    with closing(psycopg2.connect(reader_dsn(stack))) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)

        def rows(kind: Any, statement: str) -> tuple[Any, ...]:
            with connection.cursor() as cursor:
                cursor.execute(statement, whose)
                return tuple(kind(*row) for row in cursor)

        ours = {
            "payments": rows(PaymentRow, _PAYMENTS),
            "transactions": rows(TransactionRow, _TRANSACTIONS),
            "booked": rows(Booked, _BOOKED),
            "unbalanced": rows(str, _UNBALANCED),
            "events": rows(EventRow, _EVENTS),
            "webhooks": rows(WebhookRow, _WEBHOOKS),
            "attention": rows(AttentionRow, _ATTENTION),
            "keys": rows(KeyRow, _KEYS),
        }
    books, delivered, undelivered = _processors(stack, merchants)
    return Evidence(**ours, books=books, delivered=delivered, undelivered=undelivered)


def reader_dsn(stack: LocalStack) -> str:
    """DSN of Kassa's database for whoever only reads, past everything that stands before Postgres."""
    return stack.postgres.dsn(parts.DATABASE, parts.READER, stack.site.credentials.reader_password)


def _processors(stack: LocalStack, merchants: Sequence[Merchant]) -> tuple[tuple[BookEntry, ...], frozenset[str], int]:
    entries: list[BookEntry] = []
    delivered: set[str] = set()
    undelivered = 0
    for account in (account for merchant in merchants for account in merchant.accounts):
        (report,) = _get(f"{stack.sandbox_url}/books?account={account}")["accounts"]
        entries += [_entry(payment) for payment in report["payments"]]
        webhooks = _get(f"{stack.sandbox_url}/sandbox/webhooks?account={account}")
        delivered |= set(webhooks["delivered"])
        undelivered = webhooks["undelivered"]
    return tuple(entries), frozenset(delivered), undelivered


def _get(url: str) -> Any:
    status, answer = ask(url, timeout=60.0)
    assert status == 200, f"{url}: {answer}"
    return answer


def _entry(payment: dict[str, Any]) -> BookEntry:
    metadata = payment.get("metadata", {})
    return BookEntry(
        id=payment["id"],
        payment_id=metadata.get("kassa_payment") or payment.get("invoice", ""),
        reference=payment["reference"],
        state=payment["state"],
        currency=payment["currency"],
        capturable=payment["capturable"],
        captured=payment["captured"],
        refunded=payment["refunded"],
        fence="kassa_fence" in metadata,
        refunds=tuple(
            RefundEntry(refund["id"], refund["reference"], refund["amount"], refund["state"])
            for refund in payment["refunds"]
        ),
    )
