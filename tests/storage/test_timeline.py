"""Calls are kept with the settlement that they led to, and a payment's timeline is read in order."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.ids import new_id
from server.domain.outcome import ActionRequired, Unknown
from server.domain.payment import FraudDecision, FraudOutcome, Payment, State, TransactionType
from server.domain.processor_call import CallError, ProcessorCall
from server.domain.review import Ruling, Through, Verdict
from server.domain.timeline import (
    ApiRequest,
    AttentionRaised,
    CallMade,
    EventTold,
    JournalBooked,
    Position,
    ProcessorNotice,
    Reviewed,
    ReviewStep,
    TimelineEntry,
)
from server.storage.claims import Claim
from server.storage.external_refunds import ExternalRefund
from server.storage.open_operations import OperationOpened
from server.storage.open_payments import Opened
from server.storage.processor_events import (
    Owner,
    StoredEvent,
    find_owner,
    mark_handled,
    postpone_event,
    store_event,
)
from server.storage.review_desk import add_note
from server.storage.settle import Settle
from server.storage.timeline import read_timeline
from server.usecases.retell import Line, retell
from tests.factories import STRIPE_ACCOUNT, approved, make_payment
from tests.storage.conftest import HELD, Till


def call(operation: str = "POST v1/payment_intents", **changes: Any) -> ProcessorCall:
    """A call that was answered."""
    made = ProcessorCall(
        id=new_id(),
        operation=operation,
        idempotency_key="key",
        request={"amount": "1999", "card": "…"},
        status=200,
        response={"id": "pi_1", "latest_charge": {"amount": 1999}},
        error=CallError.NONE,
        processor_request_id="req_1",
        started_at=datetime.now(UTC),
        duration_us=1234,
    )
    return replace(made, **changes)


async def opened(till: Till, payment: Payment | None = None) -> Opened:
    result = await till.open(payment or make_payment(merchant_id=till.merchant))
    assert isinstance(result, Opened)
    return result


async def timeline(till: Till, payment: Payment, after: Position | None = None, size: int = 100) -> list[TimelineEntry]:
    return await till.store.read(read_timeline, payment.merchant_id, payment.id, after, size)


def calls(entries: list[TimelineEntry]) -> list[ProcessorCall]:
    return [entry.what.call for entry in entries if isinstance(entry.what, CallMade)]


async def test_a_settlement_keeps_its_calls_as_they_were(till: Till) -> None:
    one = await opened(till)
    lost = call(status=None, response=None, error=CallError.ANSWER_LOST)
    found = call("GET v1/payment_intents/pi_1", request={}, idempotency_key="")
    transaction = one.transaction
    about = (transaction.merchant_id, transaction.payment_id, transaction.id)
    await till.store.settle(Settle(*about, Unknown(), (lost,)))
    await till.store.settle(Settle(*about, approved(transaction), (found,)))
    entries = await timeline(till, one.payment)
    assert calls(entries) == [lost, found]
    assert {entry.what.transaction_id for entry in entries if isinstance(entry.what, CallMade)} == {transaction.id}


async def test_whoever_settles_second_changes_nothing_and_is_recorded_all_the_same(till: Till) -> None:
    one = await opened(till)
    transaction = one.transaction
    rows = [
        Settle(transaction.merchant_id, transaction.payment_id, transaction.id, approved(transaction), (call(),))
        for _ in range(5)
    ]
    results = await asyncio.gather(*(till.store.settle(row) for row in rows))
    assert sum(result.changed for result in results) == 1
    entries = await timeline(till, one.payment)
    assert sorted(one.id for one in calls(entries)) == sorted(row.calls[0].id for row in rows)
    assert len([entry for entry in entries if isinstance(entry.what, JournalBooked)]) == 1


async def test_causes_stand_before_effects_of_the_same_time(till: Till) -> None:
    one = await opened(till)
    ((opened_at,),) = till.query("SELECT created_at FROM transactions WHERE merchant_id = :merchant")
    made = call(started_at=opened_at)
    await till.store.settle(
        Settle(one.payment.merchant_id, one.payment.id, one.transaction.id, approved(one.transaction), (made,))
    )
    kinds = [type(entry.what).__name__ for entry in await timeline(till, one.payment)]
    assert kinds == ["ApiRequest", "FraudDecision", "CallMade", "Transaction", "JournalBooked", "EventTold"]


async def test_a_page_goes_on_where_the_one_before_ended(till: Till) -> None:
    payment = await till.charged()
    for amount in (100, 200):
        refund = (await till.begin(payment, TransactionType.REFUND, amount)).transaction
        await till.settle(refund, approved(refund))
    whole = await timeline(till, payment)
    read: list[TimelineEntry] = []
    while page := await timeline(till, payment, read[-1].position if read else None, 2):
        read += page
    assert read == whole
    assert len(whole) == 2 + 3 + 2 * 4
    assert [entry.position for entry in whole] == sorted(entry.position for entry in whole)


async def test_a_confirmation_is_told_with_its_key(till: Till) -> None:
    one = await opened(till)
    await till.settle(one.transaction, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example"))
    for number in (1, 2):
        payment_id, transaction_id = one.payment.id, one.transaction.id
        claim = Claim(till.merchant, f"confirm-{number}", uuid4(), b"", payment_id, transaction_id, f"req-{number}")
        await till.store.take_up(till.take_up_row(one.transaction, claim))
        await till.settle(
            one.transaction, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example")
        )
    asked = [entry.what for entry in await timeline(till, one.payment) if isinstance(entry.what, ApiRequest)]
    assert [(one.operation, one.idempotency_key, one.request_id) for one in asked[1:]] == [
        ("ConfirmPayment", "confirm-1", "req-1"),
        ("ConfirmPayment", "confirm-2", "req-2"),
    ]


async def test_a_blocked_payment_was_asked_for_and_decided(till: Till) -> None:
    row = till.opening()
    failure = Failure(DeclineCode.FRAUD_BLOCKED, "Blocked.", Advice.TRY_ANOTHER_METHOD)
    blocked = replace(row.payment, state=State.FAILED, failure=failure)
    decision = FraudDecision(FraudOutcome.BLOCK, 900, ("rule",), (), "hash", {})
    await till.store.open_payment(replace(row, screen=lambda _: (blocked, decision)))
    request, decided, event = [entry.what for entry in await timeline(till, row.payment)]
    assert request == ApiRequest("CreatePayment", "", "", None, 1999, "USD")
    assert isinstance(decided, FraudDecision) and decided.outcome is FraudOutcome.BLOCK
    assert isinstance(event, EventTold) and event.type == "payment.failed"


async def test_a_refund_made_at_the_processor_keeps_the_calls_that_told_of_it(till: Till) -> None:
    payment = await till.charged()
    made = call("GET v1/refunds/re_1")
    row = ExternalRefund(payment.merchant_id, payment.id, f"re_{payment.id.hex}", 400, "USD", calls=(made,))
    assert await till.store.book_refund(row)
    entries = await timeline(till, payment)
    assert calls(entries) == [made]
    assert [entry.what.kind for entry in entries if isinstance(entry.what, AttentionRaised)] == ["EXTERNAL_REFUND"]
    # Nobody asked for it here.
    assert len([entry for entry in entries if isinstance(entry.what, ApiRequest)]) == 1


async def test_a_webhook_stands_on_the_timeline_of_its_payment(till: Till) -> None:
    payment = await till.charged()
    created_at = datetime.now(UTC) - timedelta(seconds=5)
    event = StoredEvent(
        STRIPE_ACCOUNT, f"evt_{uuid4().hex}", "stripe", "payment_intent.succeeded", "PAYMENT",
        payment.processor_payment_id, payment.processor_payment_id, None, 0, created_at, False,
    )  # fmt: skip
    owner = await till.store.read(find_owner, event)
    assert isinstance(owner, Owner)
    with till.engine.begin() as connection:
        store_event(connection, event, b'{"secret": 1}')
        postpone_event(connection, event, "BUSY", 1.0, owner)
        mark_handled(connection, event, "HANDLED")
    (notice,) = [entry.what for entry in await timeline(till, payment) if isinstance(entry.what, ProcessorNotice)]
    assert (notice.event_id, notice.type, notice.result) == (event.event_id, event.type, "HANDLED")
    assert notice.created_at == created_at and notice.handled_at is not None


async def test_another_merchants_payment_has_no_timeline(till: Till) -> None:
    payment = await till.charged()
    assert await till.store.read(read_timeline, uuid4(), payment.id, None, 10) == []


async def test_a_review_is_told_from_its_opening_to_the_analysts_word(till: Till) -> None:
    payment = make_payment(merchant_id=till.merchant)
    one = await till.open(payment, decision=HELD)
    assert isinstance(one, Opened)
    held = (await till.settle(one.transaction, approved(one.transaction, captured=False))).payment
    with till.engine.begin() as connection:
        add_note(connection, till.merchant, held.id, "Grace", "Calls back.")
    ruling = Ruling(Verdict.APPROVE, Through.ANALYST, "Ada", "A regular.")
    row = replace(till.operation(held, TransactionType.CAPTURE, key="approve-1"), ruling=ruling)
    capture = await till.store.open_operation(row)
    assert isinstance(capture, OperationOpened)
    await till.settle(capture.transaction, approved(capture.transaction))
    entries = [entry.what for entry in await timeline(till, held)]
    assert [what for what in entries if isinstance(what, Reviewed)] == [
        Reviewed(ReviewStep.OPENED),
        Reviewed(ReviewStep.NOTED, "", "Grace", "Calls back."),
        Reviewed(ReviewStep.APPROVED, "ANALYST", "Ada", "A regular."),
    ]
    asked = [what for what in entries if isinstance(what, ApiRequest)]
    assert [(one.operation, one.idempotency_key) for one in asked][1:] == [("ApproveReview", "approve-1")]
    assert retell(entries[-1]) == Line("review", "approved by Ada: A regular.")
