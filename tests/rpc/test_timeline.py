"""GetPaymentTimeline over a real channel: each kind of entry as the wire shows it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf import json_format
from kassa.v1 import payment_service_pb2 as pb

from server.domain.ids import Prefix, render_id
from server.domain.payment import FraudDecision, FraudOutcome, TransactionState
from server.domain.processor_call import CallError, ProcessorCall
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
from server.usecases.answers import Page
from tests.factories import make_payment, make_transaction
from tests.rpc.conftest import MERCHANT, METADATA, Stack

SOME_ID = UUID("01995b1c-7a3e-7cc3-98c4-dc0c0c07398f")
ID, TXN, EVT = (render_id(prefix, SOME_ID) for prefix in (Prefix.PAYMENT, Prefix.TRANSACTION, Prefix.EVENT))
AT, AT_JSON = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC), "2026-03-01T12:00:00.123456Z"


def made(**changes: object) -> CallMade:
    """A refund that was answered after 1.5 seconds."""
    facts: dict[str, object] = {
        "id": SOME_ID,
        "operation": "POST v1/refunds",
        "idempotency_key": "key",
        "request": {"amount": "500", "metadata": "…"},
        "status": 200,
        "response": {"id": "re_1", "amount": 500, "links": [{"rel": "self"}], "final": True},
        "error": CallError.NONE,
        "processor_request_id": "req_1",
        "started_at": AT,
        "duration_us": 1_500_000,
    }
    return CallMade("stripe", SOME_ID, ProcessorCall(**(facts | changes)))  # type: ignore[arg-type]


async def shown(rpc: Stack, what: Happening) -> dict[str, object]:
    """The JSON of the only entry, as Envoy writes it."""
    rpc.use_cases["timeline"].answer = Page((TimelineEntry(Position(AT, Rank.CALL, "x"), what),), "next")
    page = await rpc.payments.GetPaymentTimeline(pb.GetPaymentTimelineRequest(payment_id=ID), metadata=METADATA)
    assert page.next_page_token == "next"
    (entry,) = page.entries
    found = json_format.MessageToDict(entry, preserving_proto_field_name=True)
    assert found.pop("at") == AT_JSON
    return found


async def test_payment_page_and_merchant_are_handed_over(rpc: Stack) -> None:
    rpc.use_cases["timeline"].answer = Page((), "")
    request = pb.GetPaymentTimelineRequest(payment_id=ID, page_size=7, page_token="t")
    assert await rpc.payments.GetPaymentTimeline(request, metadata=METADATA) == pb.PaymentTimeline()
    assert rpc.use_cases["timeline"].calls == [(MERCHANT, SOME_ID, 7, "t")]


async def test_a_call_is_shown_whole(rpc: Stack) -> None:
    assert await shown(rpc, made()) == {
        "processor_call": {
            "processor": "stripe",
            "transaction_id": TXN,
            "operation": "POST v1/refunds",
            "idempotency_key": "key",
            "request": {"amount": "500", "metadata": "…"},
            "status": 200,
            "response": {"id": "re_1", "amount": 500, "links": [{"rel": "self"}], "final": True},
            "processor_request_id": "req_1",
            "duration": "1.500s",
        }
    }


@pytest.mark.parametrize("error", [error for error in CallError if error])
async def test_a_call_without_an_answer_says_why(rpc: Stack, error: CallError) -> None:
    entry = await shown(rpc, made(status=None, response=None, error=error))
    call = entry["processor_call"]
    assert isinstance(call, dict)
    assert call["error"] == error.value
    assert call.keys().isdisjoint({"status", "response"})


PAYMENT = make_payment()
OTHERS: list[tuple[Happening, dict[str, object]]] = [
    (
        ApiRequest("CreatePayment", "order-1", "req-1", None, 1999, "USD"),
        {"request": {"operation": "CreatePayment", "idempotency_key": "order-1", "request_id": "req-1",
                     "amount": "1999", "currency": "USD"}},
    ),
    (
        ProcessorNotice("stripe", "evt_1", "charge.refunded", "HANDLED", AT, AT),
        {"processor_notice": {"processor": "stripe", "processor_event_id": "evt_1", "type": "charge.refunded",
                              "result": "HANDLED", "created_at": AT_JSON, "handled_at": AT_JSON}},
    ),
    (
        FraudDecision(FraudOutcome.REVIEW, 700, ("rule",), ("shadow",), "abc", {"amount": 1}),
        {"decision": {"score": 0.7, "outcome": "REVIEW", "rules": ["rule"], "ruleset": "abc"}},
    ),
    (
        JournalBooked(SOME_ID, "CAPTURE", SOME_ID, (JournalLine("cash", 5, "USD"), JournalLine("fees", -5, "USD"))),
        {"journal": {"kind": "CAPTURE", "transaction_id": TXN, "lines": [
            {"account": "cash", "amount": "5", "currency": "USD"},
            {"account": "fees", "amount": "-5", "currency": "USD"}]}},
    ),
    (
        EventTold(SOME_ID, "payment.completed", SOME_ID),
        {"event": {"id": EVT, "type": "payment.completed", "transaction_id": TXN}},
    ),
    (
        AttentionRaised("AMOUNT_MISMATCH", "1 is not 2", SOME_ID, None),
        {"attention": {"kind": "AMOUNT_MISMATCH", "detail": "1 is not 2", "transaction_id": TXN}},
    ),
    (
        Reviewed(ReviewStep.REJECTED, "ANALYST", "Ada", "Stolen."),
        {"review": {"step": "REJECTED", "through": "ANALYST", "analyst": "Ada", "words": "Stolen."}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("what", "expected"), OTHERS, ids=[type(what).__name__ for what, _ in OTHERS])
async def test_the_other_kinds(rpc: Stack, what: Happening, expected: dict[str, object]) -> None:
    assert await shown(rpc, what) == expected


async def test_a_transaction_is_shown_as_lists_show_it(rpc: Stack) -> None:
    entry = await shown(rpc, make_transaction(PAYMENT, state=TransactionState.UNKNOWN))
    transaction = entry["transaction"]
    assert isinstance(transaction, dict)
    assert (transaction["type"], transaction["state"], transaction["amount"]) == ("AUTHORIZATION", "UNKNOWN", "1999")
