"""Reads what is known of one payment, from every table that tells of it, in order. Called by `usecases.read_timeline`.

A page reads the whole payment: it has tens of rows, each found by an index that begins with merchant and payment.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.payment import TransactionType
from server.domain.processor_call import CallError, ProcessorCall
from server.domain.review import verdict_of
from server.domain.timeline import (
    ApiRequest,
    AttentionRaised,
    CallMade,
    EventTold,
    Happening,
    JournalBooked,
    JournalLine,
    Position,
    ProcessorNotice,
    Rank,
    Reviewed,
    ReviewStep,
    TimelineEntry,
)
from server.storage.rows import Row, read_decision, read_transaction

_OPERATIONS: Mapping[TransactionType, str] = {
    TransactionType.AUTHORIZATION: "CreatePayment",
    TransactionType.CAPTURE: "CapturePayment",
    TransactionType.VOID: "CancelPayment",
    TransactionType.REFUND: "RefundPayment",
}
"""A transaction with a merchant's key was asked for by this method; those without were made by us or elsewhere."""

_EVERYTHING = 10_000
_OWNER = text("SELECT merchant_id FROM payments WHERE id = :payment_id")
_OF = "merchant_id = :merchant_id AND payment_id = :payment_id"
# A payment that was blocked has no transaction: its request is told by its own row.
_TIMELINE = text(f"""
    SELECT at, rank, id, data FROM (
        SELECT t.created_at AS at, {Rank.REQUEST:d} AS rank, t.id::text AS id, to_jsonb(t) AS data
        FROM transactions t WHERE {_OF} AND t.idempotency_keys <> '[]'
        UNION ALL
        SELECT (c->>'at')::timestamptz, {Rank.REQUEST:d}, t.id::text || '/' || n,
               to_jsonb(t) || jsonb_build_object('confirmation', c)
        FROM transactions t CROSS JOIN jsonb_array_elements(t.detail->'confirmations') WITH ORDINALITY AS o(c, n)
        WHERE {_OF} AND jsonb_typeof(t.detail->'confirmations') = 'array'
        UNION ALL
        SELECT p.created_at, {Rank.REQUEST:d}, p.id::text,
               jsonb_build_object('amount', p.amount, 'currency', p.currency)
        FROM payments p WHERE p.merchant_id = :merchant_id AND p.id = :payment_id
          AND NOT EXISTS (SELECT FROM transactions WHERE {_OF} AND type = 'AUTHORIZATION')
        UNION ALL
        SELECT e.received_at, {Rank.NOTICE:d}, e.account_id::text || '/' || e.event_id, to_jsonb(e) - 'body'
        FROM processor_events e WHERE {_OF}
        UNION ALL
        SELECT d.created_at, {Rank.DECISION:d}, d.payment_id::text, to_jsonb(d)
        FROM fraud_decisions d WHERE {_OF}
        UNION ALL
        SELECT c.started_at, {Rank.CALL:d}, c.id::text, to_jsonb(c) FROM processor_calls c WHERE {_OF}
        UNION ALL
        SELECT t.updated_at, {Rank.TRANSACTION:d}, t.id::text, to_jsonb(t) FROM transactions t WHERE {_OF}
        UNION ALL
        SELECT min(l.created_at), {Rank.JOURNAL:d}, l.journal_id::text,
               jsonb_build_object(
                   'kind', min(l.kind), 'transaction_id', min(l.transaction_id::text),
                   'lines', jsonb_agg(jsonb_build_object('account', l.account, 'amount', l.amount,
                                                         'currency', l.currency) ORDER BY l.id))
        FROM ledger_entries l WHERE {_OF} GROUP BY l.journal_id
        UNION ALL
        SELECT e.created_at, {Rank.EVENT:d}, e.id::text, to_jsonb(e) - 'data' FROM events e WHERE {_OF}
        UNION ALL
        SELECT a.created_at, {Rank.ATTENTION:d}, a.id::text, to_jsonb(a) FROM attention_items a WHERE {_OF}
        UNION ALL
        SELECT r.created_at, {Rank.REVIEW:d}, r.payment_id::text || '/0', '{{}}' FROM reviews r WHERE {_OF}
        UNION ALL
        SELECT n.created_at, {Rank.REVIEW:d}, n.payment_id::text || '/1' || n.id::text,
               jsonb_build_object('step', 'NOTED', 'analyst', n.author, 'words', n.text)
        FROM review_notes n WHERE {_OF}
        UNION ALL
        SELECT r.closed_at, {Rank.REVIEW:d}, r.payment_id::text || '/2',
               jsonb_build_object('step', r.state, 'through', r.decided_through, 'analyst', r.decided_by,
                                  'words', r.reason)
        FROM reviews r WHERE {_OF} AND r.closed_at IS NOT NULL
    ) AS entry
    WHERE CAST(:at AS timestamptz) IS NULL
       OR (at, rank, id COLLATE "C") > (CAST(:at AS timestamptz), CAST(:rank AS integer), CAST(:id AS text))
    ORDER BY at, rank, id COLLATE "C" LIMIT :size
""")


def read_timeline(
    connection: Connection, merchant_id: UUID, payment_id: UUID, after: Position | None, size: int
) -> list[TimelineEntry]:
    """Reads at most `size` entries of a payment of this merchant, oldest first, behind a position."""
    values: dict[str, object] = {"merchant_id": merchant_id, "payment_id": payment_id, "size": size}
    values |= {"at": after and after.at, "rank": after and after.rank, "id": after and after.id}
    return [
        TimelineEntry(Position(row.at, row.rank, row.id), _READ[Rank(row.rank)](row.id, row.data))
        for row in connection.execute(_TIMELINE, values)
    ]


def read_whole_timeline(connection: Connection, payment_id: UUID) -> list[TimelineEntry]:
    """Reads the timeline of any merchant's payment, for operators; empty where there is no such payment.

    Looks through the payments of all merchants for its owner, so it is nothing for a server to call.
    """
    merchant_id = connection.scalar(_OWNER, {"payment_id": payment_id})
    return [] if merchant_id is None else read_timeline(connection, merchant_id, payment_id, None, _EVERYTHING)


def _request(row_id: str, row: Row) -> ApiRequest:
    if "type" not in row:
        return ApiRequest("CreatePayment", "", "", None, row["amount"], row["currency"])
    confirmation = row.get("confirmation")
    verdict = verdict_of(row["detail"])
    if verdict is not None:
        operation = f"{verdict.value.capitalize()}Review"
    else:
        operation = "ConfirmPayment" if confirmation else _OPERATIONS[TransactionType(row["type"])]
    key = confirmation["key"] if confirmation else row["idempotency_keys"][0]
    request_id = (confirmation or row["detail"]).get("request_id", "")
    return ApiRequest(operation, key, request_id, UUID(row["id"]), row["amount"], row["currency"])


def _notice(row_id: str, row: Row) -> ProcessorNotice:
    return ProcessorNotice(
        row["processor"], row["event_id"], row["type"], row["result"] or "", _time(row["created_at"]),
        row["handled_at"] and _time(row["handled_at"]),
    )  # fmt: skip


def _decision(row_id: str, row: Row) -> Happening:
    found = read_decision(row)
    assert found is not None, "a row of fraud_decisions has an outcome"
    return found


def _call(row_id: str, row: Row) -> CallMade:
    call = ProcessorCall(
        id=UUID(row_id),
        operation=row["operation"],
        idempotency_key=row["idempotency_key"],
        request=row["request"],
        status=row["status"],
        response=row["response"],
        error=CallError(row["error"]),
        processor_request_id=row["processor_request_id"],
        started_at=_time(row["started_at"]),
        duration_us=row["duration_us"],
    )
    return CallMade(row["processor"], row["transaction_id"] and UUID(row["transaction_id"]), call)


def _transaction(row_id: str, row: Row) -> Happening:
    return read_transaction(row)


def _journal(row_id: str, row: Row) -> JournalBooked:
    lines = tuple(JournalLine(**line) for line in row["lines"])
    return JournalBooked(UUID(row_id), row["kind"], UUID(row["transaction_id"]), lines)


def _event(row_id: str, row: Row) -> EventTold:
    return EventTold(UUID(row_id), row["type"], UUID(row["transaction_id"]))


def _attention(row_id: str, row: Row) -> AttentionRaised:
    resolved = row["resolved_at"] and _time(row["resolved_at"])
    return AttentionRaised(row["kind"], row["detail"], UUID(row["transaction_id"]), resolved)


def _review(row_id: str, row: Row) -> Reviewed:
    step = ReviewStep(row.get("step", ReviewStep.OPENED))
    return Reviewed(step, row.get("through", ""), row.get("analyst", ""), row.get("words", ""))


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value)


_READ: Mapping[Rank, Callable[[str, dict[str, Any]], Happening]] = {
    Rank.REQUEST: _request,
    Rank.NOTICE: _notice,
    Rank.DECISION: _decision,
    Rank.CALL: _call,
    Rank.TRANSACTION: _transaction,
    Rank.JOURNAL: _journal,
    Rank.EVENT: _event,
    Rank.ATTENTION: _attention,
    Rank.REVIEW: _review,
}
