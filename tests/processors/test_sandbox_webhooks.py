"""The sandbox's own webhooks, received over HTTP, are verified and read by the adapters."""

import pytest
from aiohttp import web

from server.domain.outcome import ActionRequired, Approved
from server.domain.payment import Method
from server.processors.contract import (
    Account,
    DisputeAnswer,
    EventRejected,
    Evidence,
    Processor,
    ProcessorEvent,
    Subject,
    Wallet,
)
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from server.processors.stripe import StripeEndpoint, StripeProcessor
from tests.processors.accounts import PayPalAccount, StripeAccount
from tests.processors.doubles import Server, answering
from tests.processors.eventually import eventually
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_authorization, make_card, make_refund
from tests.processors.sandbox_process import Sandbox


async def _thanks(_: web.Request) -> web.StreamResponse:
    return web.Response()


async def _received(adapter: Processor, account: Account, server: Server) -> dict[str, ProcessorEvent]:
    """The events that have come, by type; each must verify."""
    found = {}
    for _, _, headers, body in list(server.requests):
        lower = {name.lower(): value for name, value in headers.items()}
        event = await adapter.parse_event(account, lower, body.encode())
        found[event.type] = event
        with pytest.raises(EventRejected):
            await adapter.parse_event(account, lower, body.encode() + b" ")
    return found


async def test_stripe(sandbox: Sandbox) -> None:
    async with answering(_thanks) as server, opened(StripeProcessor(StripeEndpoint(sandbox.url))) as stripe:
        at = StripeAccount(sandbox, f"{server.url}/webhooks")
        request = make_authorization(make_card(), Method.CREDIT_CARD)
        approved = await stripe.authorize(at.account, request)
        assert isinstance(approved, Approved)
        refund = make_refund(request, approved, amount=500)
        refunded = await stripe.refund(at.account, refund)
        assert isinstance(refunded, Approved)
        payment = {"payment_intent": approved.processor_payment_id, "account": at.books}
        dispute = sandbox.command("/sandbox/stripe/disputes", **payment)["id"]
        sandbox.command(f"/sandbox/stripe/disputes/{dispute}", status="won")
        kinds = ("created", "funds_withdrawn", "closed", "funds_reinstated")
        disputes = {f"charge.dispute.{kind}" for kind in kinds}
        wanted = {"payment_intent.succeeded", "charge.refunded", "refund.created"} | disputes
        events = await eventually(lambda: _received(stripe, at.account, server), lambda found: wanted <= found.keys())
    paid, returned = (events[kind] for kind in ("payment_intent.succeeded", "refund.created"))
    assert {event.processor_payment_id for event in events.values()} == {approved.processor_payment_id}
    assert (paid.subject, paid.transaction_id) == (Subject.PAYMENT, request.transaction_id)
    assert (returned.subject, returned.transaction_id) == (Subject.REFUND, refund.transaction_id)
    assert returned.processor_object_id == refunded.processor_transaction_id
    for kind in disputes:
        assert (events[kind].subject, events[kind].processor_object_id) == (Subject.DISPUTE, dispute)


async def test_paypal(sandbox: Sandbox) -> None:
    endpoint = PayPalEndpoint(
        sandbox.url,
        certificate_hosts=frozenset({sandbox.url.removeprefix("http://")}),
        trust_anchor_pem=sandbox.ca_file.read_bytes(),
        allow_http_certificates=True,
    )
    async with answering(_thanks) as server, opened(PayPalProcessor(endpoint)) as paypal:
        at = PayPalAccount(sandbox, f"{server.url}/webhooks")
        request = make_authorization(Wallet(), Method.DIGITAL_WALLET)
        waiting = await paypal.authorize(at.account, request)
        assert isinstance(waiting, ActionRequired)
        sandbox.decide(waiting.redirect_url, "approve")
        known = make_authorization(
            None,
            Method.DIGITAL_WALLET,
            transaction_id=request.transaction_id,
            processor_payment_id=waiting.processor_payment_id,
        )
        captured = await paypal.complete(at.account, known)
        assert isinstance(captured, Approved)
        refund = make_refund(request, captured, amount=500)
        refunded = await paypal.refund(at.account, refund)
        assert isinstance(refunded, Approved)
        dispute = sandbox.command("/sandbox/paypal/disputes", order=waiting.processor_payment_id)["dispute_id"]
        await paypal.answer_dispute(
            at.account, DisputeAnswer(key="a", processor_dispute_id=dispute, evidence=Evidence(explanation="Sent."))
        )
        sandbox.command(f"/sandbox/paypal/disputes/{dispute}", status="lost")
        disputes = {f"CUSTOMER.DISPUTE.{kind}" for kind in ("CREATED", "UPDATED", "RESOLVED")}
        wanted = {"CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.REFUNDED"}
        told = wanted | disputes | {"PAYMENT.CAPTURE.REVERSED"}
        events = await eventually(lambda: _received(paypal, at.account, server), lambda found: told <= found.keys())
    approved, paid, returned = (events[kind] for kind in sorted(wanted))
    for event in (approved, paid):
        assert (event.subject, event.transaction_id) == (Subject.PAYMENT, request.transaction_id)
        assert event.processor_payment_id == waiting.processor_payment_id
    assert paid.processor_object_id == captured.processor_transaction_id
    assert (returned.subject, returned.transaction_id) == (Subject.REFUND, refund.transaction_id)
    assert returned.processor_object_id == refunded.processor_transaction_id
    assert returned.processor_payment_id == captured.processor_transaction_id
    for kind in disputes:
        assert (events[kind].subject, events[kind].processor_object_id) == (Subject.DISPUTE, dispute)
        assert events[kind].processor_payment_id == captured.processor_transaction_id
    assert events["PAYMENT.CAPTURE.REVERSED"].subject is Subject.OTHER
