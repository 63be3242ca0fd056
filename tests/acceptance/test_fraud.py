"""The default rules decide each payment, by what Postgres has counted, before anything is asked of a processor."""

from uuid import uuid4

from tests.acceptance.shop import Shop, order


def test_a_large_frequent_and_oddly_placed_payment_is_blocked(shop: Shop) -> None:
    customer = {"id": f"cus_{uuid4().hex}"}
    for _ in range(11):
        shop.paid(customer=customer)
    before = len(shop.books())
    response = shop.pay(order(customer=customer, amount=1_000_100, shipping_address={"country": "DE"}))
    payment = response.json()
    assert (response.status_code, payment["state"]) == (402, "FAILED")
    assert payment["failure"]["code"] == "FRAUD_BLOCKED"
    assert payment["fraud"]["score"] >= 0.9
    assert {"amount_above_10k", "customer_velocity", "country_mismatch"} <= set(payment["fraud"]["rules"])
    assert shop.get(payment)["fraud"] == payment["fraud"]
    assert len(shop.books()) == before
    assert shop.transactions(payment) == []


def test_a_blocked_payment_answers_its_key_again(shop: Shop) -> None:
    customer, key = {"id": f"cus_{uuid4().hex}"}, str(uuid4())
    for _ in range(11):
        shop.paid(customer=customer)
    body = order(customer=customer, amount=1_000_100, shipping_address={"country": "DE"})
    first, second = shop.pay(body, key), shop.pay(body, key)
    assert second.json() == first.json()
    assert (second.status_code, second.headers["idempotent-replayed"]) == (402, "true")


def test_each_sign_alone_is_harmless(shop: Shop) -> None:
    large = shop.paid(amount=1_000_100)
    assert "amount_above_10k" in large["fraud"]["rules"]
    assert large["fraud"]["outcome"] == "ALLOW"
    elsewhere = shop.paid(shipping_address={"country": "DE"})
    assert "country_mismatch" in elsewhere["fraud"]["rules"]
