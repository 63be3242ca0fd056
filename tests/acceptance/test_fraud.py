"""The default rules decide each payment, by what Postgres has counted, before anything is asked of a processor."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.shop import Shop, order, wait_until
from tests.acceptance.stacks import Platform


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


RULE = """
  - id: no_gift_cards
    why: Gift cards are where stolen cards go.
    when: description.startswith("gift")
    action: block
    tests:
      - {given: {description: gift card}, fires: true}
      - {given: {description: shoes}, fires: false}
"""


@pytest.mark.xdist_group("breakable")
def test_an_edited_rule_decides_while_payments_run_and_a_broken_one_changes_nothing(
    own_stack: Platform, rules_file: Path
) -> None:
    shop = own_stack.new_shop()
    gift = order(description="gift card", customer=None)
    assert shop.pay(gift).status_code == 201
    head, _, tests = rules_file.read_text().partition("\ntests:")
    rules_file.write_text(f"{head}\n{RULE}\ntests:{tests}")
    # Two servers take it up, each in its own time; from then on it is obeyed by both.
    wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [402] * 4, 15)
    blocked = shop.pay(gift).json()
    assert (blocked["failure"]["code"], blocked["fraud"]["rules"]) == ("FRAUD_BLOCKED", ["no_gift_cards"])

    rules_file.write_text(rules_file.read_text().replace("startswith", "startwith"))
    said = wait_until(lambda: own_stack.log("server-1"), lambda log: "rules not taken up" in log, 15)
    assert "startswith" in said.split("rules not taken up")[-1]
    assert [shop.pay(gift).status_code for _ in range(4)] == [402] * 4
