"""Refunds and disputes keep Stripe's limits, and their money comes and goes as published."""

import pytest
import requests

from tests.sandbox.harness import TIMEOUT_S, Running
from tests.sandbox.stripe_calls import held, pay, refused


def test_refunds_add_up_to_what_was_captured_and_no_more(sandbox: Running) -> None:
    intent, api = pay(sandbox), sandbox.stripe().v1
    part = api.refunds.create({"payment_intent": intent.id, "amount": 700, "reason": "requested_by_customer"})
    assert (part.status, part.amount, part.payment_intent) == ("succeeded", 700, intent.id)
    over = refused(lambda: api.refunds.create({"payment_intent": intent.id, "amount": 1301}))
    assert (over.http_status, over.param) == (400, "amount")
    assert "13.00" in str(over.user_message)
    assert api.refunds.create({"charge": str(intent.latest_charge)}).amount == 1300
    done = refused(lambda: api.refunds.create({"payment_intent": intent.id}))
    assert (done.http_status, done.code) == (400, "charge_already_refunded")
    charge = api.charges.retrieve(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (2000, True)
    books = sandbox.books()
    assert books["totals"]["USD"]["refunded"] == 2000
    payment = books["payments"][0]
    assert (payment["reference"], payment["metadata"]["kassa_merchant"]) == ("t-1", "m-1")
    assert [refund["amount"] for refund in books["payments"][0]["refunds"]] == [700, 1300]


def test_only_what_was_captured_can_be_refunded(sandbox: Running) -> None:
    api = sandbox.stripe().v1
    intent = held(sandbox)
    refused(lambda: api.refunds.create({"payment_intent": intent.id}))
    api.payment_intents.capture(intent.id, {"amount_to_capture": 500})
    refused(lambda: api.refunds.create({"payment_intent": intent.id, "amount": 501}))
    assert api.refunds.create({"payment_intent": intent.id}).amount == 500


def test_a_refund_may_fail_later_and_can_be_tried_again(sandbox: Running) -> None:
    intent, api = pay(sandbox, "4000000000005126"), sandbox.stripe().v1
    refund = api.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    sandbox.inbox.wait_for("refund.failed")
    failed = api.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert sandbox.books()["totals"]["USD"]["refunded"] == 0
    assert api.refunds.create({"payment_intent": intent.id}).amount == 2000


def test_a_refund_may_be_pending_first(sandbox: Running) -> None:
    intent, api = pay(sandbox, "4000000000007726"), sandbox.stripe().v1
    refund = api.refunds.create({"payment_intent": intent.id})
    assert refund.status == "pending"
    sandbox.inbox.wait_for("refund.updated")
    assert api.refunds.retrieve(refund.id).status == "succeeded"


def test_a_refund_on_the_dashboard_carries_no_metadata(sandbox: Running) -> None:
    intent = pay(sandbox)
    made = sandbox.post("/sandbox/stripe/refunds", {"payment_intent": intent.id, "amount": 300})
    assert (made["amount"], made["metadata"]) == (300, {})
    told = sandbox.inbox.wait_for("refund.created")[0].event["data"]["object"]
    assert told["id"] == made["id"]


def test_a_disputed_card_is_disputed_by_itself(sandbox: Running) -> None:
    intent = pay(sandbox, "4000000000000259")
    told = sandbox.inbox.wait_for("charge.dispute.created")[0].event["data"]["object"]
    assert (told["payment_intent"], told["amount"], told["status"]) == (intent.id, 2000, "needs_response")
    assert told["balance_transactions"][0]["net"] == -3500
    refused_refund = refused(lambda: sandbox.stripe().v1.refunds.create({"payment_intent": intent.id}))
    assert refused_refund.code == "charge_disputed"
    assert sandbox.books()["totals"]["USD"]["disputed"] == 2000


@pytest.mark.parametrize(
    ("text", "status", "disputed"), [("winning_evidence", "won", 0), ("losing_evidence", "lost", 2000)]
)
def test_published_evidence_decides_a_dispute(sandbox: Running, text: str, status: str, disputed: int) -> None:
    intent = pay(sandbox)
    dispute = sandbox.post("/sandbox/stripe/disputes", {"payment_intent": intent.id})
    api = sandbox.stripe().v1.disputes
    assert api.update(dispute["id"], {"evidence": {"uncategorized_text": text}}).status == status
    closed = sandbox.inbox.wait_for("charge.dispute.closed")[0].event["data"]["object"]
    assert closed["status"] == status
    assert sandbox.books()["totals"]["USD"]["disputed"] == disputed
    assert refused(lambda: api.close(dispute["id"])).http_status == 400


def test_a_dispute_ends_on_command_and_a_second_is_refused(sandbox: Running) -> None:
    intent = pay(sandbox)
    body = {"payment_intent": intent.id, "amount": 500, "reason": "product_not_received"}
    dispute = sandbox.post("/sandbox/stripe/disputes", body)
    again = requests.post(f"{sandbox.url}/sandbox/stripe/disputes", json=body, timeout=TIMEOUT_S)
    assert again.status_code == 400
    won = sandbox.post(f"/sandbox/stripe/disputes/{dispute['id']}", {"status": "won"})
    assert [movement["amount"] for movement in won["balance_transactions"]] == [-500, 500]


def test_evidence_is_reviewed_and_taken_once(sandbox: Running) -> None:
    dispute = sandbox.post("/sandbox/stripe/disputes", {"payment_intent": pay(sandbox).id})
    api = sandbox.stripe().v1.disputes
    evidence = {"product_description": "Two cups", "shipping_date": "2026-05-01"}
    staged = api.update(dispute["id"], {"evidence": evidence, "submit": False})  # type: ignore[typeddict-item]
    assert (staged.status, staged.evidence.product_description) == ("needs_response", "Two cups")
    sent = api.update(dispute["id"], {"evidence": {"uncategorized_text": "Signed for."}, "submit": True})
    assert (sent.status, sent.evidence.shipping_date) == ("under_review", "2026-05-01")
    sandbox.inbox.wait_for("charge.dispute.updated")
    again = refused(lambda: api.update(dispute["id"], {"evidence": {"uncategorized_text": "More."}}))
    assert again.http_status == 400


def test_an_inquiry_may_become_a_dispute(sandbox: Running) -> None:
    intent = pay(sandbox)
    dispute = sandbox.post("/sandbox/stripe/disputes", {"payment_intent": intent.id, "reason": "inquiry"})
    api = sandbox.stripe().v1.disputes
    assert refused(lambda: api.close(dispute["id"])).http_status == 400
    assert api.update(dispute["id"], {"evidence": {"uncategorized_text": "Ours."}}).status == "warning_under_review"
    grown = sandbox.post(f"/sandbox/stripe/disputes/{dispute['id']}", {"status": "needs_response"})
    assert [(one["amount"], one["fee"]) for one in grown["balance_transactions"]] == [(-2000, 1500)]
    for event in ("updated", "funds_withdrawn"):
        sandbox.inbox.wait_for(f"charge.dispute.{event}")
    row = sandbox.books()["totals"]["USD"]
    assert (row["disputed"], row["fees"], row["dispute_fees"]) == (2000, 1588, 1500)
    won = sandbox.post(f"/sandbox/stripe/disputes/{dispute['id']}", {"status": "won"})
    assert [one["fee"] for one in won["balance_transactions"]] == [1500, 0]
    sandbox.inbox.wait_for("charge.dispute.funds_reinstated")
    assert sandbox.books()["totals"]["USD"]["dispute_fees"] == 1500


def test_an_inquiry_takes_no_money(sandbox: Running) -> None:
    intent = pay(sandbox)
    dispute = sandbox.post("/sandbox/stripe/disputes", {"payment_intent": intent.id, "reason": "inquiry"})
    assert (dispute["status"], dispute["balance_transactions"]) == ("warning_needs_response", [])
    assert sandbox.stripe().v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"
