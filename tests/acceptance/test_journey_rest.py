"""A merchant's journey over REST: every method, every verb, and the sandbox's books at the end of each."""

from uuid import uuid4

import pytest

from tests.acceptance.shop import DECLINED, THREE_D_SECURE, Shop, card, order, wallet_order


def charged(shop: Shop, payment: dict[str, object]) -> tuple[int, int]:
    """What the processor's books say of a payment: captured and refunded, minor units."""
    (entry,) = [one for one in shop.books() if one["payment"] == payment["id"]]
    return int(entry["captured"]), int(entry["refunded"])


def test_a_card_payment_is_taken(shop: Shop) -> None:
    response = shop.pay()
    payment = response.json()
    assert (response.status_code, payment["state"]) == (201, "COMPLETED")
    assert (payment["amount"], payment["amount_captured"], payment["currency"]) == ("1999", "1999", "USD")
    assert payment["card"] == {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030}
    assert payment["metadata"] == {"order": "1001"}
    assert (payment["processor"], payment["fraud"]["outcome"]) == ("stripe", "ALLOW")
    assert shop.get(payment) == payment
    assert charged(shop, payment) == (1999, 0)


def test_the_same_key_answers_the_same_and_charges_once(shop: Shop) -> None:
    body, key = order(), str(uuid4())
    first, second = shop.pay(body, key), shop.pay(body, key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert charged(shop, first.json()) == (1999, 0)


def test_a_held_payment_is_captured_in_part_and_refunded_until_nothing_is_left(shop: Shop) -> None:
    payment = shop.paid(capture_method="MANUAL")
    assert (payment["state"], payment["amount_authorized"], payment["amount_captured"]) == ("AUTHORIZED", "1999", "0")
    captured = shop.post(payment, "capture", {"amount": 1500}).json()
    assert (captured["state"], captured["amount_captured"]) == ("COMPLETED", "1500")
    for amount in (500, 700):
        refund = shop.post(payment, "refunds", {"amount": amount, "reason": "REQUESTED_BY_CUSTOMER"})
        assert (refund.status_code, refund.json()["state"]) == (200, "COMPLETED")
        assert refund.json()["id"].startswith("re_")
    refused = shop.post(payment, "refunds", {"amount": 301})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "REFUND_EXCEEDS_CAPTURED")
    rest = shop.post(payment, "refund")
    assert (rest.status_code, rest.json()["amount"]) == (200, "300")
    assert shop.get(payment)["state"] == "REFUNDED"
    assert charged(shop, payment) == (1500, 1500)
    kinds = [(one["type"], one["state"]) for one in shop.transactions(payment)]
    assert kinds == [("AUTHORIZATION", "COMPLETED"), ("CAPTURE", "COMPLETED")] + [("REFUND", "COMPLETED")] * 3


def test_a_held_payment_is_cancelled(shop: Shop) -> None:
    payment = shop.paid(capture_method="MANUAL")
    cancelled = shop.post(payment, "cancel", {"reason": "sold out"})
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "CANCELLED")
    assert shop.post(payment, "capture").json()["error"]["code"] == "PAYMENT_STATE_INVALID"
    assert charged(shop, payment) == (0, 0)


def test_a_declined_card_answers_402_with_the_payment(shop: Shop) -> None:
    response = shop.pay(order(card=card(DECLINED)))
    payment = response.json()
    assert (response.status_code, payment["state"]) == (402, "FAILED")
    assert payment["failure"]["code"] == "CARD_DECLINED"
    assert payment["failure"]["advice"]
    assert shop.get(payment)["state"] == "FAILED"


@pytest.mark.parametrize(("choice", "state", "status"), [("approve", "COMPLETED", 200), ("decline", "FAILED", 402)])
def test_three_d_secure_goes_through_the_customers_bank(shop: Shop, choice: str, state: str, status: int) -> None:
    payment = shop.paid(card=card(THREE_D_SECURE))
    assert (payment["state"], payment["next_action"]["type"]) == ("PENDING", "REDIRECT")
    early = shop.post(payment, "confirm")
    assert (early.status_code, early.json()["state"]) == (200, "PENDING")
    shop.act(payment, choice)
    key = str(uuid4())
    confirmed = shop.post(payment, "confirm", key=key)
    # Whether or not the webhook was quicker.
    assert (confirmed.status_code, confirmed.json()["state"]) == (status, state)
    assert shop.post(payment, "confirm", key=key).headers["idempotent-replayed"] == "true"
    assert shop.get(payment)["state"] == state


def test_a_payment_that_waits_for_its_customer_can_be_cancelled(shop: Shop) -> None:
    payment = shop.paid(card=card(THREE_D_SECURE))
    assert shop.post(payment, "cancel").json()["state"] == "CANCELLED"
    assert "next_action" not in shop.get(payment) or shop.get(payment)["next_action"] is None


@pytest.mark.parametrize("capture_method", ["AUTOMATIC", "MANUAL"])
def test_a_wallet_payment_goes_through_its_approval_page(shop: Shop, capture_method: str) -> None:
    payment = shop.pay(wallet_order(capture_method=capture_method)).json()
    assert (payment["state"], payment["processor"]) == ("PENDING", "paypal")
    shop.act(payment)
    shop.post(payment, "confirm")
    if capture_method == "MANUAL":
        shop.until(payment, lambda now: now["state"] == "AUTHORIZED")
        assert shop.post(payment, "capture", {"amount": 1500}).status_code == 200
    taken = shop.until(payment, lambda now: now["state"] == "COMPLETED")
    assert shop.post(payment, "refunds", {"amount": 499}).json()["state"] == "COMPLETED"
    assert charged(shop, payment) == (int(taken["amount_captured"]), 499)


def test_an_approved_wallet_payment_is_completed_by_its_webhook_alone(shop: Shop) -> None:
    payment = shop.pay(wallet_order()).json()
    shop.act(payment)
    shop.until(payment, lambda now: now["state"] == "COMPLETED")
    assert charged(shop, payment) == (1999, 0)


def test_a_bank_transfer_is_pending_until_its_webhook(shop: Shop) -> None:
    payment = shop.paid(method="BANK_TRANSFER", card=None, customer={"id": "cus_1", "email": "ada@example.com"})
    assert payment["state"] in {"PENDING", "COMPLETED"}
    shop.until(payment, lambda now: now["state"] == "COMPLETED")
    assert charged(shop, payment) == (1999, 0)


def test_a_crypto_payment_goes_through_its_page(shop: Shop) -> None:
    payment = shop.paid(method="CRYPTOCURRENCY", card=None)
    assert payment["state"] == "PENDING"
    shop.act(payment)
    shop.until(payment, lambda now: now["state"] == "COMPLETED")
    assert charged(shop, payment) == (1999, 0)


def test_a_debit_card_and_a_processors_token_pay(shop: Shop) -> None:
    assert shop.paid(method="DEBIT_CARD", card=card("4000056655665556"))["state"] == "COMPLETED"
    by_token = shop.paid(card=None, processor_token="pm_card_visa")
    assert (by_token["state"], by_token["card"]["last4"]) == ("COMPLETED", "4242")


def test_zero_and_three_decimal_currencies_keep_their_amounts(shop: Shop) -> None:
    yen = shop.paid(amount=500, currency="JPY")
    assert (yen["amount"], charged(shop, yen)) == ("500", (500, 0))


def test_lists_are_paged_newest_first_and_filtered(shop: Shop) -> None:
    customer = {"id": f"cus_{uuid4().hex}"}
    made = [shop.paid(customer=customer)["id"] for _ in range(5)]
    shop.pay(order(card=card(DECLINED), customer=customer))
    seen: list[str] = []
    token = ""
    while True:
        query = {"customer_id": customer["id"], "state": "COMPLETED", "page_size": "2", "page_token": token}
        page = shop.call("GET", "/v1/payments", params={name: value for name, value in query.items() if value}).json()
        seen += [payment["id"] for payment in page["payments"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == made[::-1]
