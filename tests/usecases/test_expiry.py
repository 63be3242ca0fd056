"""Payments whose time is over: called off at the processor, ended by its word alone, and never against a capture."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from server.domain.attention import AttentionKind
from server.domain.errors import KassaError, Reason
from server.domain.payment import CaptureMethod, Method, Payment, State, TransactionState, TransactionType
from server.processors.contract import ProcessorToken, Wallet
from server.storage.deadlines import Deadline
from server.usecases.expire_payment import ExpirePayment
from tests.cluster import Database
from tests.processors.requests_to_processors import make_card
from tests.processors.sandbox_process import Sandbox
from tests.refusals import again_while
from tests.usecases.conftest import THREE_D_SECURE, Gateway, gateway_at, to_its_end

NO_TIME_H = 1e-6
AT_ONCE = 8


@pytest.fixture
async def hasty(database: Database, sandbox: Sandbox) -> AsyncIterator[Gateway]:
    """A gateway whose payments have no time at all."""
    times = {"authorization_lifetime_h": NO_TIME_H, "approval_lifetime_h": NO_TIME_H}
    async with gateway_at(database, sandbox, **times) as found:
        yield found


async def expire(gateway: Gateway, payment: Payment) -> None:
    """What the sweep does with a payment whose time is over."""
    core = gateway.core
    work = ExpirePayment(core.store, core.transactions, core.act, core.recover, lease_s=core.lease_s)
    await work(Deadline(payment.merchant_id, payment.id, payment.created_at))


def deadlines(gateway: Gateway) -> list[tuple[object, ...]]:
    return gateway.till.query("SELECT payment_id, expires_at FROM payment_deadlines WHERE merchant_id = :merchant")


def attention(gateway: Gateway) -> list[object]:
    rows = "SELECT kind FROM attention_items WHERE merchant_id = :merchant AND resolved_at IS NULL"
    return [kind for (kind,) in gateway.till.query(rows)]


async def test_a_hold_has_until_a_day_before_the_processor_lets_it_go(gateway: Gateway) -> None:
    held = await gateway.pay()
    assert held.state is State.AUTHORIZED
    assert deadlines(gateway) == [(held.id, gateway.till.opened_at(held) + timedelta(days=6))]
    await gateway.core.sweeps.sweep.deadlines()
    assert (await gateway.now(held)).state is State.AUTHORIZED


async def test_a_waiting_customer_has_a_day_and_then_the_merchant_its_time(gateway: Gateway) -> None:
    waiting = await gateway.pay(make_card(THREE_D_SECURE))
    assert deadlines(gateway) == [(waiting.id, gateway.till.opened_at(waiting) + timedelta(days=1))]
    gateway.sandbox.decide(waiting.redirect_url, "approve")
    confirmed = await gateway.use_cases.confirm(gateway.caller, str(uuid4()), waiting.id)
    assert confirmed.value.state is State.AUTHORIZED
    assert deadlines(gateway) == [(waiting.id, gateway.till.opened_at(waiting) + timedelta(days=6))]


async def test_what_is_captured_at_once_has_no_deadline(gateway: Gateway) -> None:
    assert (await gateway.pay(capture_method=CaptureMethod.AUTOMATIC)).state is State.COMPLETED
    assert deadlines(gateway) == []


async def test_the_sweep_releases_a_hold_that_nobody_captured(hasty: Gateway) -> None:
    held = await hasty.pay()
    await hasty.core.sweeps.sweep.deadlines()
    assert (await hasty.now(held)).state is State.CANCELLED
    void = (await hasty.transactions(held))[-1]
    assert (void.type, void.state, void.reason) == (TransactionType.VOID, TransactionState.COMPLETED, "EXPIRED")
    assert hasty.booked(held)["state"] == "canceled"
    assert deadlines(hasty) == attention(hasty) == []


async def test_the_sweep_ends_the_wait_for_a_customer_who_never_came(hasty: Gateway) -> None:
    waiting = await hasty.pay(make_card(THREE_D_SECURE))
    assert waiting.state is State.PENDING
    await hasty.core.sweeps.sweep.deadlines()
    states = [(one.type, one.state) for one in await hasty.transactions(waiting)]
    assert states == [
        (TransactionType.AUTHORIZATION, TransactionState.CANCELLED),
        (TransactionType.VOID, TransactionState.COMPLETED),
    ]
    assert (await hasty.now(waiting)).state is State.CANCELLED
    assert deadlines(hasty) == []


async def test_an_approval_whose_news_was_lost_is_not_called_off(hasty: Gateway) -> None:
    waiting = await hasty.pay(make_card(THREE_D_SECURE))
    hasty.sandbox.decide(waiting.redirect_url, "approve")
    await expire(hasty, waiting)
    assert (await hasty.now(waiting)).state is State.AUTHORIZED
    assert [one.type for one in await hasty.transactions(waiting)] == [TransactionType.AUTHORIZATION]


async def test_a_bank_transfer_under_way_is_not_called_off(hasty: Gateway) -> None:
    token = ProcessorToken("pm_usBankAccount_processing")
    debit = await hasty.pay(token, method=Method.BANK_TRANSFER, capture_method=CaptureMethod.AUTOMATIC)
    assert (debit.state, debit.redirect_url) == (State.PENDING, "")
    assert deadlines(hasty) == []
    await expire(hasty, debit)
    assert [one.type for one in await hasty.transactions(debit)] == [TransactionType.AUTHORIZATION]


async def test_a_paypal_order_that_was_called_off_is_never_taken_though_approved_later(hasty: Gateway) -> None:
    """PayPal cannot cancel an order; but only we take it, and confirm refuses."""
    order = await hasty.pay(Wallet())
    await hasty.core.sweeps.sweep.deadlines()
    assert (await hasty.now(order)).state is State.CANCELLED
    hasty.sandbox.decide(order.redirect_url, "approve")
    with pytest.raises(KassaError) as refusal:
        await hasty.use_cases.confirm(hasty.caller, str(uuid4()), order.id)
    assert refusal.value.reason is Reason.PAYMENT_STATE_INVALID
    booked = hasty.booked(order)
    assert (booked["authorized"], booked["captured"]) == (0, 0)


@pytest.mark.parametrize("kind", ["lost_request", "lost_reply"])
async def test_only_the_processors_word_ends_a_payment(hasty: Gateway, kind: str) -> None:
    held = await hasty.pay()
    hasty.fault("stripe", kind, "stripe.payment_intents.cancel")
    await expire(hasty, held)
    assert (await hasty.now(held)).state is State.AUTHORIZED
    void = (await hasty.transactions(held))[-1]
    assert void.state is TransactionState.UNKNOWN
    hasty.write("UPDATE transactions SET lease_until = now() - interval '1 s' WHERE merchant_id = :merchant")
    await hasty.core.recover(void.merchant_id, void.payment_id, void.id)
    assert (await hasty.now(held)).state is State.CANCELLED
    await expire(hasty, held)
    assert deadlines(hasty) == []


async def test_a_processor_that_cannot_be_reached_is_asked_later(hasty: Gateway) -> None:
    held = await hasty.pay()
    hasty.fault("stripe", "error", "stripe.payment_intents.cancel", status=500, times=5)
    await hasty.core.sweeps.sweep.deadlines()
    assert (await hasty.now(held)).state is State.AUTHORIZED
    assert len(deadlines(hasty)) == 1
    await hasty.core.sweeps.sweep.deadlines()  # not before its pause is over
    assert hasty.till.query("SELECT attempts FROM payment_deadlines WHERE merchant_id = :merchant") == [(1,)]


async def test_what_was_captured_in_the_dashboard_is_captured_and_not_called_off(hasty: Gateway) -> None:
    held = await hasty.pay()
    hasty.at_stripe(f"payment_intents/{held.processor_payment_id}/capture")
    await expire(hasty, held)
    now = await hasty.now(held)
    assert (now.state, now.amount_captured) == (State.COMPLETED, 1999)
    assert deadlines(hasty) == []
    assert attention(hasty) == [AttentionKind.MADE_ELSEWHERE]


async def test_people_are_told_once_of_what_the_processor_does_not_cancel(hasty: Gateway) -> None:
    held = await hasty.pay()
    for _ in range(2):
        hasty.fault("stripe", "error", "stripe.payment_intents.cancel", status=400)
        await expire(hasty, held)
    assert (await hasty.now(held)).state is State.AUTHORIZED
    assert attention(hasty) == [AttentionKind.NOT_CANCELLED]
    await expire(hasty, held)
    assert (await hasty.now(held)).state is State.CANCELLED
    assert attention(hasty) == deadlines(hasty) == []


async def test_an_operation_under_way_is_waited_for(hasty: Gateway) -> None:
    held = await hasty.pay()
    capture = await hasty.till.begin(held, TransactionType.CAPTURE)
    await expire(hasty, held)
    assert [one.type for one in await hasty.transactions(held)][1:] == [TransactionType.CAPTURE]
    assert len(deadlines(hasty)) == 1
    await hasty.core.act.follow_up(capture.payment, capture.transaction)
    await expire(hasty, held)
    assert (await hasty.now(held)).state is State.COMPLETED
    assert deadlines(hasty) == []


async def test_a_capture_and_an_expiry_at_once_end_in_one_of_both_and_the_books_agree(hasty: Gateway) -> None:
    hasty.fault("stripe", "latency", "stripe.*", seconds=0.0, max_seconds=0.05, seed=7, times=100)
    payments = await asyncio.gather(*(again_while(Reason.OVERLOADED, hasty.pay) for _ in range(AT_ONCE)))

    async def race(number: int, payment: Payment) -> None:
        """The first payment is captured before its time is over, the last after, and the others as it happens."""
        both = [lambda: hasty.capture(payment), lambda: expire(hasty, payment)]
        if number == AT_ONCE - 1:
            both.reverse()
        if number in {0, AT_ONCE - 1}:
            for one in both:
                await to_its_end(one)
        else:
            await asyncio.gather(*(to_its_end(one) for one in both))

    await asyncio.gather(*(race(number, payment) for number, payment in enumerate(payments)))
    ends = set()
    for payment in payments:
        await expire(hasty, payment)
        now, booked = await hasty.now(payment), hasty.booked(payment)
        done = [one.type for one in await hasty.transactions(payment) if one.state is TransactionState.COMPLETED]
        captured = now.state is State.COMPLETED
        assert done[1:] == [TransactionType.CAPTURE if captured else TransactionType.VOID]
        assert (now.amount_captured, booked["captured"]) == ((1999, 1999) if captured else (0, 0))
        assert captured or booked["state"] == "canceled"
        ends.add(now.state)
    assert ends == {State.COMPLETED, State.CANCELLED}
    assert deadlines(hasty) == []
    balance = "SELECT COALESCE(sum(amount), 0) FROM ledger_entries WHERE merchant_id = :merchant"
    assert hasty.till.query(balance) == [(0,)]
