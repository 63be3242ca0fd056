"""What happens late: a fee that is told after a while, and holds that expire."""

import time
from typing import Any

import pytest
import requests
from paypalrestsdk import exceptions

from tests.sandbox.harness import TIMEOUT_S, Running
from tests.sandbox.paypal_calls import captured, create, hold, issue, post
from tests.sandbox.stripe_calls import held, pay, refused

EXPANDED: Any = {"expand": ["latest_charge.balance_transaction"]}


def test_stripe_tells_a_fee_late_and_books_it_at_once(sandbox: Running) -> None:
    sandbox.fault("late_fee", "stripe.fee", seconds=0.4, times=1)
    late, prompt = (pay(sandbox, **EXPANDED) for _ in range(2))
    assert late.latest_charge.balance_transaction is None
    assert prompt.latest_charge.balance_transaction.fee == 88
    assert sandbox.books()["totals"]["USD"]["fees"] == 176
    time.sleep(0.5)
    told = sandbox.stripe().v1.payment_intents.retrieve(late.id, EXPANDED)
    assert told.latest_charge.balance_transaction.fee == 88  # type: ignore[union-attr]


def test_paypal_tells_a_fee_late_and_books_it_at_once(sandbox: Running) -> None:
    sandbox.fault("late_fee", "paypal.fee", seconds=0.4, times=1)
    late, prompt = captured(sandbox), captured(sandbox)
    assert "seller_receivable_breakdown" not in late
    assert prompt["seller_receivable_breakdown"]["paypal_fee"]["value"] == "1.19"
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["fees"] == 238
    time.sleep(0.5)
    told = sandbox.paypal().get(f"v2/payments/captures/{late['id']}")
    assert told["seller_receivable_breakdown"]["paypal_fee"]["value"] == "1.19"


def test_a_late_fee_takes_no_other_fault_with_it(sandbox: Running) -> None:
    sandbox.fault("late_fee", "*", seconds=0.4, times=1)
    sandbox.fault("error", "stripe.[ef]*", status=503, times=1)  # A fee or the list of events.
    assert pay(sandbox, **EXPANDED).latest_charge.balance_transaction is None
    answer = requests.get(f"{sandbox.url}/v1/events", auth=("sk_test_sandbox", ""), timeout=TIMEOUT_S)
    assert answer.status_code == 503


def test_a_stripe_hold_expires(sandbox: Running) -> None:
    intent = held(sandbox)
    ended = sandbox.post("/sandbox/stripe/expire", {"payment_intent": intent.id})
    assert (ended["status"], ended["cancellation_reason"]) == ("canceled", "automatic")
    sandbox.inbox.wait_for("payment_intent.canceled")
    assert "charge.expired" in [event.type for event in sandbox.stripe().v1.events.list()]
    refused(lambda: sandbox.stripe().v1.payment_intents.capture(intent.id))
    body = {"payment_intent": pay(sandbox).id}
    again = requests.post(f"{sandbox.url}/sandbox/stripe/expire", json=body, timeout=TIMEOUT_S)
    assert again.status_code == 400


def test_a_paypal_hold_expires(sandbox: Running) -> None:
    held_ = hold(sandbox)
    order = held_["supplementary_data"]["related_ids"]["order_id"]
    ended = sandbox.post("/sandbox/paypal/expire", {"order": order})
    assert ended["purchase_units"][0]["payments"]["authorizations"][0]["status"] == "VOIDED"
    sandbox.inbox.wait_for("PAYMENT.AUTHORIZATION.VOIDED")
    path = f"v2/payments/authorizations/{held_['id']}/capture"
    assert issue(lambda: post(sandbox, path)) == "AUTHORIZATION_VOIDED"


def test_a_paypal_order_that_nobody_approves_is_dropped(sandbox: Running) -> None:
    made = create(sandbox)
    sandbox.post("/sandbox/paypal/expire", {"order": made["id"]})
    with pytest.raises(exceptions.ResourceNotFound):
        sandbox.paypal().get(f"v2/checkout/orders/{made['id']}")
