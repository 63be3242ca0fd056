"""Stripe's disputes from their arrival to their end, over REST through Envoy, with the ledger right at each stage."""

import pytest

from tests.acceptance import disputes
from tests.acceptance.disputes import (
    EVIDENCE,
    LOSING,
    WINNING,
    answer,
    arrived,
    books_agree,
    decide,
    submit,
    told,
    until,
)
from tests.acceptance.shop import Json, Shop, card, order, wait_until
from tests.acceptance.stacks import Platform

UNTIL_RECOVERY_S = 90.0
"""An open dispute is read again 15 seconds after it last changed, then at growing pauses."""


def code(response: object) -> str:
    return str(response.json()["error"]["code"])  # type: ignore[attr-defined]


def disputed(platform: Platform, shop: Shop, **how: object) -> tuple[Json, Json]:
    payment = shop.paid()
    books_agree(platform, shop, payment)
    disputes.dispute(shop, payment, **how)
    return payment, arrived(shop, payment)


def test_a_dispute_is_withdrawn_defended_won_and_reinstated(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop)
    assert (one["state"], one["reason"], one["inquiry"]) == ("NEEDS_RESPONSE", "FRAUDULENT", False)
    one = until(shop, one, amount_withdrawn="1999")
    assert one["respond_by"] > one["opened_at"]
    assert books_agree(platform, shop, payment)["disputed"] == 1999
    assert shop.get(payment)["amount_disputed"] == "1999"
    assert code(shop.post(payment, "refunds")) == "PAYMENT_DISPUTED"
    assert disputes.kinds(shop, payment) == {("DISPUTE", "PENDING"), ("CHARGEBACK", "COMPLETED")}

    response = submit(shop, one, WINNING, "defend-1")
    assert response.status_code == 200, response.text
    assert (response.json()["state"], response.json()["evidence"]["explanation"]) == ("WON", "winning_evidence")
    assert response.json()["answered_at"]
    until(shop, one, amount_withdrawn="0")
    assert books_agree(platform, shop, payment)["disputed"] == 0
    assert shop.get(payment)["amount_disputed"] == "0"
    assert disputes.kinds(shop, payment) == {("DISPUTE", "CANCELLED"), ("CHARGEBACK", "CANCELLED")}
    repeated = submit(shop, one, WINNING, "defend-1")
    assert (repeated.json(), repeated.headers["idempotent-replayed"]) == (response.json(), "true")
    assert shop.post(payment, "refunds", {"amount": 100}).status_code == 200
    assert told(platform, payment)[:2] == ["dispute.created", "dispute.funds_withdrawn"]
    assert told(platform, payment)[2:] == ["dispute.funds_reinstated", "dispute.won"]


def test_evidence_is_reviewed_and_the_bank_decides_for_the_customer(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop, amount=500, reason="product_not_received")
    assert (one["reason"], one["amount"]) == ("PRODUCT_NOT_RECEIVED", "500")
    assert submit(shop, one, EVIDENCE).json()["state"] == "UNDER_REVIEW"
    assert code(submit(shop, one, EVIDENCE)) == "DISPUTE_STATE_INVALID"
    assert "respond_by" not in until(shop, one, state="UNDER_REVIEW")
    decide(shop, one["processor_dispute_id"], "lost")
    until(shop, one, state="LOST", amount_withdrawn="500")
    assert books_agree(platform, shop, payment)["disputed"] == 500
    assert shop.get(payment)["amount_disputed"] == "500"
    assert code(shop.post(payment, "refunds", {"amount": 100})) == "PAYMENT_DISPUTED"
    assert disputes.kinds(shop, payment) == {("DISPUTE", "COMPLETED"), ("CHARGEBACK", "COMPLETED")}
    assert told(platform, payment)[-1] == "dispute.lost"


def test_losing_evidence_loses(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop)
    assert submit(shop, one, LOSING).json()["state"] == "LOST"
    assert books_agree(platform, shop, payment)["disputed"] == 1999


def test_an_accepted_dispute_is_lost(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop)
    response = answer(shop, one, "accept", key="give-up-1")
    assert (response.status_code, response.json()["state"]) == (200, "LOST")
    assert "evidence" not in response.json() and response.json()["answered_at"]
    assert answer(shop, one, "accept", key="give-up-1").json() == response.json()
    assert code(submit(shop, one, EVIDENCE, "give-up-1")) == "IDEMPOTENCY_KEY_REUSED"
    assert code(answer(shop, one, "accept")) == "DISPUTE_STATE_INVALID"
    assert books_agree(platform, shop, payment)["disputed"] == 1999
    assert told(platform, payment)[-1] == "dispute.lost"


def test_an_inquiry_takes_no_money_until_it_becomes_a_dispute(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop, reason="inquiry")
    assert (one["inquiry"], one["amount_withdrawn"], shop.get(payment)["amount_disputed"]) == (True, "0", "0")
    assert books_agree(platform, shop, payment)["disputed"] == 0
    assert code(answer(shop, one, "accept")) == "DISPUTE_STATE_INVALID"
    decide(shop, one["processor_dispute_id"], "needs_response")
    until(shop, one, inquiry=False, amount_withdrawn="1999")
    assert books_agree(platform, shop, payment)["disputed"] == 1999
    assert shop.get(payment)["amount_disputed"] == "1999"
    assert answer(shop, one, "accept").json()["state"] == "LOST"


def test_an_inquiry_ends_without_a_verdict_and_its_payment_may_be_refunded(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop, reason="inquiry")
    assert shop.post(payment, "refunds", {"amount": 100}).status_code == 200
    decide(shop, one["processor_dispute_id"], "warning_closed")
    until(shop, one, state="CLOSED")
    assert books_agree(platform, shop, payment)["refunded"] == 100
    assert told(platform, payment) == ["dispute.created", "dispute.closed"]
    assert disputes.kinds(shop, payment) == {("DISPUTE", "CANCELLED")}


def test_disputes_are_listed_by_state_payment_and_deadline(platform: Platform, shop: Shop, other_shop: Shop) -> None:
    payment, first = disputed(platform, shop)
    _, second = disputed(platform, shop)
    answer(shop, first, "accept")
    ids = lambda **query: [one["id"] for one in disputes.disputes(shop, **query)]  # noqa: E731 - says it shortest
    assert ids() == [second["id"], first["id"]]
    assert ids(state="LOST") == [first["id"]]
    assert ids(respond_before="2000-01-01T00:00:00Z") == []
    assert ids(respond_before="2100-01-01T00:00:00Z") == [second["id"]]
    assert ids(payment_id=payment["id"]) == [first["id"]]
    of_payment = shop.call("GET", f"/v1/payments/{payment['id']}/disputes").json()["disputes"]
    assert [one["id"] for one in of_payment] == [first["id"]]
    page = shop.call("GET", "/v1/disputes", params={"page_size": "1"}).json()
    following = {"page_size": "1", "page_token": page["next_page_token"]}
    assert shop.call("GET", "/v1/disputes", params=following).json()["disputes"][0]["id"] == first["id"]
    assert disputes.disputes(other_shop) == []
    assert code(other_shop.call("GET", f"/v1/disputes/{first['id']}")) == "DISPUTE_NOT_FOUND"
    assert code(answer(other_shop, second, "accept")) == "DISPUTE_NOT_FOUND"
    assert disputes.disputes(shop, payment_id=shop.paid()["id"]) == []
    assert code(other_shop.call("GET", f"/v1/payments/{payment['id']}/disputes")) == "PAYMENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("evidence", "field"),
    [
        ({}, "evidence"),
        ({"explanation": "  "}, "evidence"),
        ({"explanation": "paid with 4242 4242 4242 4242"}, "evidence.explanation"),
        ({"explanation": "x" * 20_001}, "evidence.explanation"),
        ({"service_date": "31.01.2026"}, "evidence.service_date"),
    ],
)
def test_evidence_that_will_not_do_is_refused(shop: Shop, evidence: Json, field: str) -> None:
    nobodys = {"id": "dsp_01h455vb4pex5vsknk084sn02q"}
    response = submit(shop, nobodys, evidence)
    assert (response.status_code, code(response), response.json()["error"]["param"]) == (400, "INVALID_FIELD", field)


def test_a_card_whose_holder_disputes_is_followed_from_the_first_webhook_on(platform: Platform, shop: Shop) -> None:
    payment = shop.paid(card=card("4000000000000259"))
    one = until(shop, arrived(shop, payment), amount_withdrawn="1999")
    assert one["processor_dispute_id"].startswith("dp_")
    books_agree(platform, shop, payment)


def test_a_dispute_whose_webhooks_stay_away_is_found_out_by_asking(own_stack: Platform) -> None:
    """After the first one nothing is delivered; then the bank decides."""
    shop = own_stack.new_shop()
    payment, one = disputed(own_stack, shop)
    until(shop, one, amount_withdrawn="1999")
    own_stack.fault(kind="webhook_drop", operation="stripe.webhook.charge.dispute.*")
    decide(shop, one["processor_dispute_id"], "won")
    until(shop, one, UNTIL_RECOVERY_S, state="WON", amount_withdrawn="0")
    assert books_agree(own_stack, shop, payment)["disputed"] == 0
    assert shop.get(payment)["amount_disputed"] == "0"


def test_webhooks_that_come_twice_and_in_disorder_are_booked_once(own_stack: Platform) -> None:
    shop = own_stack.new_shop()
    own_stack.fault(kind="webhook_duplicate", operation="stripe.webhook.charge.dispute.*", copies=2)
    own_stack.fault(kind="webhook_reorder", operation="stripe.webhook.charge.dispute.*", window=4)
    payment, one = disputed(own_stack, shop)
    decide(shop, one["processor_dispute_id"], "won")
    until(shop, one, state="WON", amount_withdrawn="0")
    books_agree(own_stack, shop, payment)
    unhandled = "SELECT count(*) FROM processor_events WHERE handled_at IS NULL"
    wait_until(lambda: own_stack.query(unhandled), lambda rows: rows == [(0,)])
    books_agree(own_stack, shop, payment)
    assert sorted(told(own_stack, payment)) in (
        ["dispute.created", "dispute.won"],
        ["dispute.created", "dispute.funds_reinstated", "dispute.funds_withdrawn", "dispute.won"],
    )


@pytest.mark.parametrize(("verb", "operation"), [("evidence", "update"), ("accept", "close")])
def test_an_answer_whose_reply_is_lost_is_given_once(own_stack: Platform, verb: str, operation: str) -> None:
    shop = own_stack.new_shop()
    payment, one = disputed(own_stack, shop)
    own_stack.fault(kind="lost_reply", operation=f"stripe.disputes.{operation}", times=1)
    own_stack.fault(kind="webhook_drop", operation="stripe.webhook.charge.dispute.*")
    body = {"evidence": WINNING} if verb == "evidence" else {}
    first = answer(shop, one, verb, body, "answer-1")
    assert (first.status_code, first.headers.get("retry-after")) in {(409, "1"), (200, None)}, first.text
    last = wait_until(lambda: answer(shop, one, verb, body, "answer-1"), lambda now: now.status_code == 200)
    assert last.json()["state"] == {"evidence": "WON", "accept": "LOST"}[verb]
    assert code(answer(shop, one, verb, body)) == "DISPUTE_STATE_INVALID"
    books_agree(own_stack, shop, payment)


def test_a_dispute_that_overtakes_the_reply_to_its_payment_finds_it(own_stack: Platform) -> None:
    shop = own_stack.new_shop()
    own_stack.fault(kind="lost_reply", operation="stripe.payment_intents.create", times=1)
    payment = shop.pay(order(card=card("4000000000000259"))).json()
    one = until(shop, arrived(shop, payment, 60.0), amount_withdrawn="1999")
    assert (shop.get(payment)["state"], one["payment_id"]) == ("COMPLETED", payment["id"])
    books_agree(own_stack, shop, payment)
