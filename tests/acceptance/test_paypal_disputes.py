"""PayPal's disputes over REST through Envoy: held while they are open, then released or taken, and booked so."""

import pytest

from tests.acceptance import disputes
from tests.acceptance.disputes import EVIDENCE, answer, arrived, books_agree, decide_at_paypal, submit, told, until
from tests.acceptance.shop import Json, Shop, wait_until, wallet_order
from tests.acceptance.stacks import Platform


def paid(shop: Shop) -> Json:
    payment = shop.pay(wallet_order()).json()
    shop.act(payment)
    shop.post(payment, "confirm")
    return shop.until(payment, lambda now: now["state"] == "COMPLETED")


def disputed(platform: Platform, shop: Shop, **how: object) -> tuple[Json, Json]:
    payment = paid(shop)
    books_agree(platform, shop, payment)
    disputes.dispute_at_paypal(shop, payment, **how)
    return payment, arrived(shop, payment)


def test_what_is_disputed_is_held_and_released_when_the_case_is_won(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop, reason="UNAUTHORISED")
    assert (one["state"], one["reason"], one["amount_held"]) == ("NEEDS_RESPONSE", "FRAUDULENT", "1999")
    assert (one["amount_withdrawn"], shop.get(payment)["amount_disputed"]) == ("0", "1999")
    assert books_agree(platform, shop, payment)["held"] == 1999
    assert shop.post(payment, "refunds").json()["error"]["code"] == "PAYMENT_DISPUTED"
    response = submit(shop, one, EVIDENCE)
    assert (response.status_code, response.json()["state"]) == (200, "UNDER_REVIEW")
    decide_at_paypal(shop, one["processor_dispute_id"], "won")
    until(shop, one, state="WON", amount_held="0")
    assert books_agree(platform, shop, payment)["held"] == 0
    assert shop.get(payment)["amount_disputed"] == "0"
    assert disputes.kinds(shop, payment) == {("DISPUTE", "CANCELLED")}
    assert (told(platform, payment)[0], told(platform, payment)[-1]) == ("dispute.created", "dispute.won")


def test_a_lost_case_takes_the_hold_and_a_fee(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop, amount=500)
    decide_at_paypal(shop, one["processor_dispute_id"], "lost")
    until(shop, one, state="LOST", amount_held="0", amount_withdrawn="500")
    entry = books_agree(platform, shop, payment)
    assert (entry["disputed"], entry["held"], entry["dispute_fees"]) == (500, 0, 1500)
    assert shop.get(payment)["amount_disputed"] == "500"
    assert disputes.kinds(shop, payment) == {("DISPUTE", "COMPLETED"), ("CHARGEBACK", "COMPLETED")}
    assert told(platform, payment) == ["dispute.created", "dispute.funds_withdrawn", "dispute.lost"]


def test_an_accepted_claim_is_lost(platform: Platform, shop: Shop) -> None:
    payment, one = disputed(platform, shop)
    assert answer(shop, one, "accept").json()["state"] == "LOST"
    assert books_agree(platform, shop, payment)["disputed"] == 1999


@pytest.mark.parametrize("escalates", [True, False])
def test_an_inquiry_is_held_too_and_the_customer_may_withdraw_it(
    platform: Platform, shop: Shop, escalates: bool
) -> None:
    payment, one = disputed(platform, shop, inquiry=True)
    assert (one["inquiry"], one["amount_held"], shop.get(payment)["amount_disputed"]) == (True, "1999", "0")
    books_agree(platform, shop, payment)
    if escalates:
        decide_at_paypal(shop, one["processor_dispute_id"], "claim")
        until(shop, one, inquiry=False)
        assert shop.get(payment)["amount_disputed"] == "1999"
    decide_at_paypal(shop, one["processor_dispute_id"], "cancelled")
    until(shop, one, state="CLOSED", amount_held="0")
    books_agree(platform, shop, payment)
    assert shop.get(payment)["amount_disputed"] == "0"


@pytest.mark.parametrize(("verb", "operation"), [("evidence", "provide_evidence"), ("accept", "accept_claim")])
def test_an_answer_whose_reply_is_lost_is_given_once(own_stack: Platform, verb: str, operation: str) -> None:
    shop = own_stack.new_shop()
    payment, one = disputed(own_stack, shop)
    own_stack.fault(kind="lost_reply", operation=f"paypal.disputes.{operation}", times=1)
    body = {"evidence": EVIDENCE} if verb == "evidence" else {}
    first = answer(shop, one, verb, body, "answer-1")
    assert first.status_code in {409, 200}, first.text
    last = wait_until(lambda: answer(shop, one, verb, body, "answer-1"), lambda now: now.status_code == 200)
    assert last.json()["state"] == {"evidence": "UNDER_REVIEW", "accept": "LOST"}[verb]
    books_agree(own_stack, shop, payment)
