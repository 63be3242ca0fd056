"""What PayPal does with orders, captures and refunds, through the adapter."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from server.domain.decline import DeclineCode
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined, Outcome, Pending
from server.domain.payment import Method
from server.processors.contract import Authorization, OutcomeUnknown, ProcessorRejected, Void, Wallet
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from tests.processors.accounts import PayPalAccount
from tests.processors.eventually import eventually
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_authorization, make_capture, make_refund
from tests.processors.sandbox_process import Sandbox


@pytest.fixture
async def paypal(sandbox: Sandbox) -> AsyncIterator[PayPalProcessor]:
    """The adapter under test."""
    async with opened(PayPalProcessor(PayPalEndpoint(sandbox.url))) as adapter:
        yield adapter


@pytest.fixture
def at(sandbox: Sandbox) -> PayPalAccount:
    """An account of its own."""
    return PayPalAccount(sandbox)


async def order(paypal: PayPalProcessor, at: PayPalAccount, choice: str, **changes: Any) -> Authorization:
    """Creates an order and lets its customer choose; the request as recovery has it."""
    request = make_authorization(Wallet(), Method.DIGITAL_WALLET, **changes)
    waiting = await paypal.authorize(at.account, request)
    assert isinstance(waiting, ActionRequired), waiting
    if choice:
        at.sandbox.decide(waiting.redirect_url, choice)
    return replace(request, instrument=None, processor_payment_id=waiting.processor_payment_id)


def make_order_void(request: Authorization) -> Void:
    """Calls off a payment of which no hold is known."""
    return Void(
        merchant_id=request.merchant_id,
        payment_id=request.payment_id,
        transaction_id=uuid4(),
        amount=request.amount,
        currency=request.currency,
        key_age=timedelta(),
        processor_payment_id=request.processor_payment_id,
        authorization_id="",
    )


def code(outcome: Outcome) -> DeclineCode:
    assert isinstance(outcome, Declined), outcome
    return outcome.failure.code


async def test_a_declined_instrument_is_final(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = await order(paypal, at, "approve_declined")
    outcome = await paypal.complete(at.account, request)
    assert code(outcome) is DeclineCode.CARD_DECLINED
    held = await order(paypal, at, "approve_declined", capture=False)
    assert code(await paypal.complete(at.account, held)) is DeclineCode.NOT_PERMITTED


async def test_an_order_that_waits_is_shown_the_same_page_again(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = await order(paypal, at, "")
    outcome = await paypal.complete(at.account, request)
    assert isinstance(outcome, ActionRequired)
    again = await paypal.resolve(at.account, replace(request, processor_payment_id=None))
    assert again == outcome


async def test_reading_never_takes(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = await order(paypal, at, "approve")
    assert isinstance(await paypal.resolve(at.account, request), Pending)
    (payment,) = at.payments()
    assert payment["captured"] == 0


async def test_a_lost_reply_of_the_taking_is_found(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    for operation, changes in (("paypal.orders.capture", {}), ("paypal.orders.authorize", {"capture": False})):
        request = await order(paypal, at, "approve", **changes)
        at.fault("lost_reply", operation)
        with pytest.raises(OutcomeUnknown):
            await paypal.complete(at.account, request)
        found = await paypal.complete(at.account, request)
        assert isinstance(found, Approved)
        assert found == await paypal.resolve(at.account, request)
    assert sorted(payment["captured"] for payment in at.payments()) == [0, 1999]


async def test_an_order_that_moved_since_it_was_read_is_read_again(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    approved, waiting = await order(paypal, at, "approve"), await order(paypal, at, "")
    stale = {"id": approved.processor_payment_id, "intent": "CAPTURE", "status": "APPROVED"}
    await paypal._connection.post(at.account, f"v2/checkout/orders/{stale['id']}/capture", {}, "somebody-elses-key")
    assert isinstance(await paypal._operations.take(at.account, approved, stale), Approved)
    unapproved = {**stale, "id": waiting.processor_payment_id}
    assert isinstance(await paypal._operations.take(at.account, waiting, unapproved), ActionRequired)


@pytest.mark.parametrize("changes", [{"amount": 1998}, {"currency": "EUR"}])
async def test_an_order_over_another_amount_is_never_captured(
    paypal: PayPalProcessor, at: PayPalAccount, changes: dict[str, Any]
) -> None:
    request = await order(paypal, at, "approve")
    outcome = await paypal.complete(at.account, replace(request, **changes))
    assert code(outcome) is DeclineCode.PROCESSING_ERROR
    (payment,) = at.payments()
    assert payment["captured"] == 0


@pytest.mark.parametrize(("choice", "wanted"), [("approve_echeck", Approved), ("approve_echeck_bounces", Declined)])
async def test_an_echeck_is_decided_later(
    paypal: PayPalProcessor, at: PayPalAccount, choice: str, wanted: type[object]
) -> None:
    request = await order(paypal, at, choice)
    assert isinstance(await paypal.complete(at.account, request), Pending)
    outcome = await eventually(
        lambda: paypal.complete(at.account, request), lambda found: not isinstance(found, Pending)
    )
    assert isinstance(outcome, wanted), outcome


async def test_an_order_that_nobody_approved_is_called_off_by_us_alone(
    paypal: PayPalProcessor, at: PayPalAccount
) -> None:
    for choice in ("", "approve"):
        request = await order(paypal, at, choice)
        outcome = await paypal.void(at.account, make_order_void(request))
        assert outcome == Cancelled(processor_payment_id=str(request.processor_payment_id))


async def test_an_order_that_was_taken_meanwhile_is_not_called_off(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = await order(paypal, at, "approve")
    await paypal.complete(at.account, request)
    assert code(await paypal.void(at.account, make_order_void(request))) is DeclineCode.OPERATION_REFUSED


async def test_a_hold_that_we_did_not_know_of_is_released(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = await order(paypal, at, "approve", capture=False)
    held = await paypal.complete(at.account, request)
    assert isinstance(held, Approved)
    assert isinstance(await paypal.void(at.account, make_order_void(request)), Cancelled)
    assert isinstance(await paypal.resolve(at.account, request), Cancelled)
    assert isinstance(await paypal.capture(at.account, make_capture(request, held)), Cancelled)


async def test_an_order_that_paypal_dropped_is_over_once_it_is_old(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    gone = make_authorization(None, Method.DIGITAL_WALLET, processor_payment_id="5O190127TN364715T")
    with pytest.raises(OutcomeUnknown):
        await paypal.resolve(at.account, gone)
    old = replace(gone, key_age=timedelta(hours=7))
    assert await paypal.resolve(at.account, old) == Cancelled(processor_payment_id="5O190127TN364715T")
    assert await paypal.complete(at.account, old) == Cancelled(processor_payment_id="5O190127TN364715T")


async def test_a_lost_order_is_created_again_and_only_once(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = make_authorization(Wallet(), Method.DIGITAL_WALLET)
    for kind in ("lost_reply", "lost_request"):
        at.fault(kind, "paypal.orders.create")
        with pytest.raises(OutcomeUnknown):
            await paypal.authorize(at.account, request)
    assert isinstance(await paypal.resolve(at.account, replace(request, instrument=None)), ActionRequired)
    assert len(at.payments()) == 1


async def test_an_order_that_nobody_knows_can_never_take_money(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    long_ago = timedelta(hours=6)
    request = make_authorization(None, Method.DIGITAL_WALLET, key_age=long_ago)
    assert code(await paypal.resolve(at.account, request)) is DeclineCode.NOT_SUBMITTED
    assert at.payments() == []


async def test_known_captures_and_refunds_are_read(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = await order(paypal, at, "approve", capture=False)
    held = await paypal.complete(at.account, request)
    assert isinstance(held, Approved)
    capture = make_capture(request, held, amount=1500)
    captured = await paypal.capture(at.account, capture)
    assert isinstance(captured, Approved)
    known = replace(capture, processor_transaction_id=captured.processor_transaction_id)
    assert await paypal.resolve(at.account, known) == captured
    refund = make_refund(request, captured, amount=400)
    refunded = await paypal.refund(at.account, refund)
    assert isinstance(refunded, Approved)
    asked = replace(refund, processor_transaction_id=refunded.processor_transaction_id)
    assert await paypal.resolve(at.account, asked) == refunded


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 1500), ("HUF", 99000), ("TWD", 500), ("EUR", 7)])
async def test_amounts_arrive_as_they_were_meant(
    paypal: PayPalProcessor, at: PayPalAccount, currency: str, amount: int
) -> None:
    request = await order(paypal, at, "approve", currency=currency, amount=amount)
    approved = await paypal.complete(at.account, request)
    assert isinstance(approved, Approved), approved
    assert (approved.amount, approved.currency) == (amount, currency)
    (payment,) = at.payments()
    assert (payment["captured"], payment["currency"]) == (amount, currency)


async def test_what_cannot_be_expressed_is_not_sent(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    request = make_authorization(Wallet(), Method.DIGITAL_WALLET, currency="HUF", amount=99050)
    with pytest.raises(ProcessorRejected, match="request_not_expressible"):
        await paypal.authorize(at.account, request)
    assert at.payments() == []


async def test_several_calls_have_one_deadline(paypal: PayPalProcessor, at: PayPalAccount, sandbox: Sandbox) -> None:
    taken, held = await order(paypal, at, "approve"), await order(paypal, at, "approve", capture=False)
    await paypal.complete(at.account, held)
    # Each call alone is in time.
    at.fault("latency", "paypal.orders.*", seconds=0.4, times=None)
    at.fault("latency", "paypal.authorizations.*", seconds=0.4, times=None)
    async with opened(PayPalProcessor(PayPalEndpoint(sandbox.url, deadline_s=0.7))) as hasty:
        for ask in (
            hasty.complete(at.account, taken),
            hasty.void(at.account, make_order_void(held)),
            hasty.resolve(at.account, make_order_void(held)),
        ):
            with pytest.raises(OutcomeUnknown, match=r"0\.7 s"):
                await ask


@pytest.mark.parametrize("odd", ["A\\1", "../../oauth2", "x?y", ""])
async def test_an_odd_id_reaches_nobody(paypal: PayPalProcessor, at: PayPalAccount, odd: str) -> None:
    request = make_authorization(None, Method.DIGITAL_WALLET, processor_payment_id=odd)
    with pytest.raises(ProcessorRejected):
        await paypal.complete(at.account, request)


async def test_a_description_of_any_shape_is_taken(paypal: PayPalProcessor, at: PayPalAccount) -> None:
    await order(paypal, at, "", description="two\nlines " + "é" * 200)
    await order(paypal, at, "", description=" \n ")
