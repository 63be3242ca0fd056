"""Disputes are read, never believed: events and sweeps only say which; races end with the latest reading."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from server.domain.dispute import DisputeState
from server.processors.contract import OutcomeUnknown
from server.storage.processor_events import StoredEvent, store_event
from server.storage.reads import get_transaction
from server.storage.short_transactions import ShortTransactions
from tests.disputes.conftest import Desk
from tests.factories import STRIPE_ACCOUNT

RESULT = "SELECT result, handled_at IS NOT NULL FROM processor_events WHERE event_id = :id"


def event(processor_dispute_id: str, processor_payment_id: str) -> StoredEvent:
    return StoredEvent(
        account_id=STRIPE_ACCOUNT,
        event_id=f"evt_{uuid4().hex}",
        processor="stripe",
        type="charge.dispute.created",
        subject="DISPUTE",
        processor_payment_id=processor_payment_id,
        processor_object_id=processor_dispute_id,
        transaction_id=None,
        attempts=0,
        created_at=datetime.now(UTC),
        handled=False,
    )


async def test_an_event_says_which_dispute_to_read(desk: Desk, transactions: ShortTransactions) -> None:
    payment, told = await desk.charged()
    stored = await transactions.run(
        store_event, event(told.processor_dispute_id, payment.processor_payment_id), b"it was lost, for 1 cent"
    )
    await desk.handle(stored)
    (dispute,) = await desk.disputes()
    assert (dispute.payment_id, dispute.state, dispute.amount) == (payment.id, DisputeState.NEEDS_RESPONSE, 1999)
    assert desk.till.query(RESULT, id=stored.event_id) == [("HANDLED", True)]
    # Its later events are found by its own id, whatever payment they name.
    again = await transactions.run(store_event, event(told.processor_dispute_id, ""), b"")
    await desk.handle(again)
    assert desk.till.query(RESULT, id=again.event_id) == [("HANDLED", True)]


async def test_an_event_waits_while_the_processor_does_not_answer(desk: Desk, transactions: ShortTransactions) -> None:
    payment, told = await desk.charged()
    desk.bank.trouble = OutcomeUnknown("no answer")
    stored = await transactions.run(store_event, event(told.processor_dispute_id, payment.processor_payment_id), b"")
    await desk.handle(stored)
    assert desk.till.query(RESULT, id=stored.event_id) == [("OutcomeUnknown", False)]
    assert await desk.disputes() == []


@pytest.mark.parametrize("known", [True, False])
async def test_a_reading_that_is_overtaken_is_made_again(desk: Desk, known: bool) -> None:
    """While one reader waits for the bank, the bank decides, and another reader has settled that."""
    payment, told = await desk.charged()
    if known:
        await desk.follow.read(payment, told.processor_dispute_id)
    won = replace(told, state=DisputeState.WON, withdrawn=0, respond_by=None)

    async def overtake() -> None:
        desk.bank.stands[told.processor_dispute_id] = won
        await desk.follow.read(payment, told.processor_dispute_id)

    desk.bank.before_reply = overtake
    dispute = await desk.follow.read(payment, told.processor_dispute_id)
    assert (dispute.state, dispute.amount_withdrawn) == (DisputeState.WON, 0)
    assert await desk.disputes() == [dispute]


async def test_recovery_reads_what_no_event_told(desk: Desk) -> None:
    _, dispute = await desk.disputed()
    assert await desk.recovered(dispute) == "STILL_OPEN"
    told = desk.bank.stands[dispute.processor_dispute_id]
    desk.bank.stands[dispute.processor_dispute_id] = replace(told, state=DisputeState.LOST, respond_by=None)
    assert await desk.recovered(dispute) == "SETTLED"
    assert (await desk.disputes())[0].state is DisputeState.LOST
    assert await desk.recovered(dispute) == "OVER"


async def test_recovery_that_learns_nothing_comes_again_later(desk: Desk) -> None:
    _, dispute = await desk.disputed()
    desk.bank.trouble = OutcomeUnknown("no answer")
    assert await desk.recovered(dispute) == "STILL_OPEN"
    transaction = await desk.till.store.read(get_transaction, dispute.merchant_id, dispute.transaction_id)
    assert transaction is not None
    assert (transaction.state.value, transaction.waiting, transaction.attempts) == ("PENDING", True, 1)


async def test_a_dispute_of_which_no_webhook_ever_told_is_found(desk: Desk) -> None:
    payment, told = await desk.charged()
    foreign = replace(told, processor_dispute_id="dp_foreign", processor_payment_id="pi_of_another_system")
    old = replace(told, processor_dispute_id="dp_old", opened_at=datetime.now(UTC) - timedelta(days=8))
    desk.bank.stands |= {one.processor_dispute_id: one for one in (foreign, old)}
    assert await desk.find() == 1
    (dispute,) = await desk.disputes()
    assert (dispute.payment_id, dispute.processor_dispute_id) == (payment.id, told.processor_dispute_id)
    assert await desk.find() == 0
