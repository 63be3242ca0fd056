"""A payment's timeline: all that is known of it, in order, and nothing that must not be shown."""

import os
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import kassa
import pytest

from sandbox.local import parts
from server.domain.ids import Prefix, new_id, render_id
from tests.acceptance.disputes import arrived, dispute
from tests.acceptance.shop import THREE_D_SECURE, TIMEOUT_S, Json, Shop, card, wait_until, wallet_order
from tests.acceptance.stacks import Platform

KINDS = {"request", "processor_notice", "decision", "processor_call", "transaction", "journal", "event", "attention"}


def timeline(shop: Shop, payment: Json, **query: str) -> list[Json]:
    """Reads the timeline over REST, page after page."""
    entries: list[Json] = []
    while True:
        response = shop.call("GET", f"/v1/payments/{payment['id']}/timeline", params={"page_size": "100"} | query)
        assert response.status_code == 200, response.text
        page = response.json()
        entries += page["entries"]
        if not page["next_page_token"]:
            return entries
        query["page_token"] = page["next_page_token"]


def kind(entry: Json) -> str:
    """Says what an entry tells of."""
    (found,) = KINDS & entry.keys()
    return found


def told(entries: list[Json]) -> list[str]:
    """The timeline as a person would retell it."""
    return [f"{kind(entry)} {_word(kind(entry), entry[kind(entry)])}" for entry in entries]


def _word(what: str, shown: Json) -> str:
    match what:
        case "request":
            word = f"{shown['operation']} {shown['amount']}"
        case "decision":
            word = shown["outcome"]
        case "processor_call":
            path = "/".join(
                "…" if part.startswith(("pi_", "re_", "dp_")) else part for part in shown["operation"].split("/")
            )
            word = f"{path} {shown['status'] or shown['error']}"
        case "transaction":
            word = f"{shown['type']} {shown['state']}"
        case "journal":
            word = f"{shown['kind']} {shown['lines'][0]['amount']}"
        case "event" | "processor_notice":
            word = shown["type"]
        case _:
            word = shown["kind"]
    return str(word)


def tells(entries: list[Json], story: list[str]) -> bool:
    """Whether the story is told in this order, and beside it only of webhooks, which come when they come, and of what
    is asked because of them."""
    rest = iter(story)
    awaited = next(rest, None)
    for one, entry in zip(told(entries), entries, strict=True):
        if one == awaited:
            awaited = next(rest, None)
        elif kind(entry) not in {"processor_notice", "processor_call"}:
            return False
    return awaited is None


def calls(entries: list[Json]) -> list[Json]:
    """The calls to the processor."""
    return [entry["processor_call"] for entry in entries if kind(entry) == "processor_call"]


def in_order(entries: list[Json]) -> bool:
    """Whether no entry is older than the one before."""
    times = [datetime.fromisoformat(entry["at"]) for entry in entries]
    return all(before <= after for before, after in pairwise(times))


def test_a_payment_with_a_partial_refund(shop: Shop) -> None:
    payment = shop.pay(key="order-1001").json()
    refund = shop.post(payment, "refunds", {"amount": 500}, key="refund-1")
    entries = timeline(shop, payment)
    assert in_order(entries)
    story = [
        "request CreatePayment 1999",
        "decision ALLOW",
        "processor_call POST v1/payment_intents 200",
        "transaction AUTHORIZATION COMPLETED",
        "journal CAPTURE 1999",
        "journal FEE 88",
        "event payment.completed",
        "request RefundPayment 500",
        "processor_call POST v1/refunds 200",
        "transaction REFUND COMPLETED",
        "journal REFUND 500",
        "event refund.completed",
    ]
    assert tells(entries, story), told(entries)
    requests = [entry["request"] for entry in entries if kind(entry) == "request"]
    assert [one["idempotency_key"] for one in requests] == ["order-1001", "refund-1"]
    assert requests[1]["request_id"] == refund.headers["x-request-id"]
    lines = next(entry["journal"]["lines"] for entry in entries if kind(entry) == "journal")
    assert [(line["account"], line["amount"], line["currency"]) for line in lines] == [
        ("processor_receivable", "1999", "USD"),
        ("merchant_payable", "-1999", "USD"),
    ]


def test_a_call_shows_what_was_said_and_nothing_that_must_not_be(shop: Shop) -> None:
    payment = shop.paid(card=card() | {"holder": "Grace Hopper"})
    (call,) = calls(timeline(shop, payment))
    (transaction,) = shop.transactions(payment)
    assert (call["processor"], call["transaction_id"], call["error"]) == (
        "stripe",
        transaction["id"],
        "ERROR_UNSPECIFIED",
    )
    assert call["processor_request_id"].startswith("req_")
    assert 0 < float(call["duration"].removesuffix("s")) < 30
    said, answered = call["request"], call["response"]
    assert (said["amount"], said["currency"], said["capture_method"]) == ("1999", "usd", "automatic")
    assert said["payment_method_data[card][number]"] == said["payment_method_data[card][cvc]"] == "…"
    assert said["metadata[kassa_transaction]"] == call["idempotency_key"]
    assert (answered["id"], answered["status"], answered["amount_received"]) == (
        payment["processor_payment_id"],
        "succeeded",
        1999,
    )
    assert answered["latest_charge"]["payment_method_details"]["card"]["last4"] == "4242"
    for secret in ("4242424242424242", "Hopper", "ada@example.com", "203.0.113.7", "client_secret", "Order 1001"):
        assert secret not in str(call)


def test_three_d_secure_settled_by_its_webhook(shop: Shop) -> None:
    payment = shop.paid(card=card(THREE_D_SECURE))
    shop.act(payment)
    shop.until(payment, lambda now: now["state"] == "COMPLETED")
    done = "payment_intent.succeeded"
    entries = wait_until(
        lambda: timeline(shop, payment),
        # It is BUSY at first where another webhook's handler is asking at the same moment.
        lambda found: any(
            one["processor_notice"]["result"] == "HANDLED" for one in found if f"processor_notice {done}" in told([one])
        ),
    )
    assert in_order(entries)
    story = told(entries)
    assert story[:3] == [
        "request CreatePayment 1999",
        "decision ALLOW",
        "processor_call POST v1/payment_intents 200",
    ]
    assert calls(entries)[0]["response"]["next_action"]["redirect_to_url"]["url"].endswith("/…")
    pending = story.index("event payment.pending")
    paid = story.index("event payment.completed")
    booked = ["transaction AUTHORIZATION COMPLETED", "journal CAPTURE 1999", "journal FEE 88"]
    assert story[paid - 3 : paid] == booked
    assert "processor_call GET v1/payment_intents/… 200" in story[pending:paid]
    (notice,) = [entry["processor_notice"] for entry in entries if f"processor_notice {done}" in told([entry])]
    assert (notice["processor"], notice["result"]) == ("stripe", "HANDLED")
    assert notice["processor_event_id"].startswith("evt_") and notice["handled_at"]
    assert f"processor_notice {done}" in story[pending:]


def test_a_confirmation_is_a_request(shop: Shop) -> None:
    payment = shop.paid(card=card(THREE_D_SECURE))
    early = shop.post(payment, "confirm", key="confirm-1")
    requests = [entry["request"] for entry in timeline(shop, payment) if kind(entry) == "request"]
    assert [(one["operation"], one["idempotency_key"]) for one in requests][1:] == [("ConfirmPayment", "confirm-1")]
    assert requests[1]["request_id"] == early.headers["x-request-id"]


def test_paypal(shop: Shop) -> None:
    payment = shop.pay(wallet_order()).json()
    shop.act(payment)
    assert shop.until(payment, lambda now: now["state"] == "COMPLETED")["amount_captured"] == "1999"
    entries = timeline(shop, payment)
    assert in_order(entries)
    made, captured = calls(entries)[0], calls(entries)[-1]
    order_id = payment["processor_payment_id"]
    assert (made["processor"], made["operation"], made["status"]) == ("paypal", "POST v2/checkout/orders", 201)
    assert made["request"]["purchase_units"][0]["amount"] == {"currency_code": "USD", "value": "19.99"}
    assert {link["rel"] for link in made["response"]["links"]} >= {"payer-action"}
    assert "token" not in str(made["response"])
    assert captured["operation"] in {
        f"POST v2/checkout/orders/{order_id}/capture",
        f"GET v2/checkout/orders/{order_id}",
    }
    assert f"processor_call POST v2/checkout/orders/{order_id}/capture 201" in told(entries)
    assert "journal CAPTURE 1999" in told(entries)
    assert "buyer@sandbox.example" not in str(entries)


def test_pages_follow_each_other(shop: Shop) -> None:
    payment = shop.paid()
    shop.post(payment, "refunds", {"amount": 500})
    both = wait_until(
        lambda: (timeline(shop, payment), timeline(shop, payment, page_size="1")), lambda read: read[0] == read[1]
    )
    assert len(both[0]) >= 11
    path = f"/v1/payments/{shop.paid()['id']}/timeline"
    token = shop.call("GET", f"/v1/payments/{payment['id']}/timeline", params={"page_size": "1"}).json()
    wrong = shop.call("GET", path, params={"page_token": token["next_page_token"]})
    assert wrong.json()["error"]["code"] == "PAGE_TOKEN_INVALID"


def test_nobody_else_reads_it(shop: Shop, other_shop: Shop) -> None:
    payment = shop.paid()
    response = other_shop.call("GET", f"/v1/payments/{payment['id']}/timeline")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "PAYMENT_NOT_FOUND")


def test_the_client_reads_the_same(platform: Platform, shop: Shop) -> None:
    payment = shop.paid()
    with kassa.Client(platform.grpc_target, shop.api_key) as client:

        def both() -> tuple[list[Any], list[Json]]:
            return list(client.payments.timeline(payment["id"])), timeline(shop, payment)

        # Webhooks come meanwhile, and are shown where they came.
        entries, _ = wait_until(
            both, lambda found: [one.WhichOneof("entry") for one in found[0]] == [kind(one) for one in found[1]]
        )
    (call,) = [entry.processor_call for entry in entries if entry.WhichOneof("entry") == "processor_call"]
    assert call.response["amount_received"] == 1999


def test_operators_read_it_at_a_terminal(platform: Platform, shop: Shop) -> None:
    payment = shop.paid()
    shown = kassa_command(platform, "payment", "timeline", payment["id"])
    assert shown.returncode == 0, shown.stderr
    for words in ("CreatePayment", "ALLOW", "POST v1/payment_intents → 200", "merchant_payable -1999 USD"):
        assert words in shown.stdout
    unknown = kassa_command(platform, "payment", "timeline", render_id(Prefix.PAYMENT, new_id()))
    assert (unknown.returncode, unknown.stderr) == (1, "There is no such payment.\n")
    assert kassa_command(platform, "payment", "timeline", "pay_1").returncode == 2


def kassa_command(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line as an operator of this stack would."""
    command = [str(Path(sys.executable).parent / "kassa"), *arguments]
    environment = {**os.environ, **parts.gateway_environment(platform.stack.site), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.mark.xdist_group("breakable")
def test_a_lost_reply_that_the_worker_recovers(own_stack: Platform) -> None:
    """The first call was given up without an answer; the fence and the search that found the charge stand behind it."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="webhook_drop", operation="stripe.webhook.*")
    own_stack.fault(kind="lost_reply", operation="stripe.payment_intents.create", times=1)
    payment = shop.pay().json()
    shop.until(payment, lambda now: now["state"] == "COMPLETED", 90)
    entries = timeline(shop, payment)
    assert in_order(entries)
    story = told(entries)
    assert story[:3] == [
        "request CreatePayment 1999",
        "decision ALLOW",
        "processor_call POST v1/payment_intents ANSWER_LOST",
    ]
    assert "processor_call POST v1/payment_intents 400" in story
    assert "processor_call GET v1/payment_intents/search 200" in story
    assert story[-5:] == [
        "processor_call GET v1/payment_intents/… 200",
        "transaction AUTHORIZATION COMPLETED",
        "journal CAPTURE 1999",
        "journal FEE 88",
        "event payment.completed",
    ]
    first, fence = calls(entries)[:2]
    assert "response" not in first
    assert fence["idempotency_key"] == first["idempotency_key"]
    assert "payment_method_data[type]" not in fence["request"]
    assert fence["request"]["metadata[kassa_fence]"] == "true"


def test_a_dispute_with_what_was_said_of_it_and_what_it_took(shop: Shop) -> None:
    payment = shop.paid()
    dispute(shop, payment)
    arrived(shop, payment)
    words = wait_until(lambda: told(timeline(shop, payment)), lambda found: "event dispute.funds_withdrawn" in found)
    assert "journal DISPUTE_WITHDRAWN 1999" in words
    assert "transaction CHARGEBACK COMPLETED" in words
    assert words.index("processor_call GET v1/disputes/… 200") < words.index("event dispute.created")
