"""The books over REST: what a merchant did is what they show, and they are in balance for merchant and platform."""

import requests

from tests.acceptance.shop import TIMEOUT_S, Json, Shop, wait_until
from tests.acceptance.stacks import Platform


def read(shop: Shop, path: str, **query: str) -> Json:
    response = shop.call("GET", f"/v1/ledger/{path}", params=query)
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def fees_of(shop: Shop, payment: Json) -> list[Json]:
    entries: list[Json] = read(shop, "entries", payment_id=payment["id"], account="FEES")["entries"]
    return entries


def test_the_books_show_what_was_taken_and_returned(platform: Platform) -> None:
    shop = platform.new_shop()
    payment = shop.paid()
    assert shop.post(payment, "refunds", {"amount": 500}).status_code == 200
    balances = read(shop, "balances")["balances"]
    shown = {one["account"]: one["amount"] for one in balances if one["currency"] == "USD"}
    assert (shown["MERCHANT_PAYABLE"], shown["REFUNDS"]) == ("-1999", "500")
    assert sum(int(amount) for amount in shown.values()) == 0
    entries = read(shop, "entries", payment_id=payment["id"], account="REFUNDS")["entries"]
    assert [(one["kind"], one["amount"], one["processor_reference"][:3]) for one in entries] == [
        ("REFUND", "500", "re_")
    ]


def test_a_fee_that_the_processor_tells_late_is_booked_by_the_worker(platform: Platform) -> None:
    shop = platform.new_shop()
    account = platform.stripe_account(shop).at_processor
    platform.fault(kind="late_fee", operation="stripe.fee", account=account, seconds=5, times=1)
    payment = shop.paid()
    assert fees_of(shop, payment) == []
    [entry] = wait_until(lambda: fees_of(shop, payment), bool, 90)
    [charge] = shop.books()
    assert int(entry["amount"]) == charge["fees"] > 0
    [prompt] = fees_of(shop, shop.paid())
    assert (prompt["kind"], prompt["amount"]) == ("FEE", entry["amount"])


def test_balances_of_a_moment_before_anything_happened_are_empty(platform: Platform) -> None:
    shop = platform.new_shop()
    payment = shop.paid()
    found = read(shop, "balances", at="2026-01-01T00:00:00Z")
    assert (found["balances"], found["at"]) == ([], "2026-01-01T00:00:00Z")
    since = read(shop, "entries", created_after=payment["created_at"], currency="USD", page_size="1")
    assert len(since["entries"]) == 1 and since["next_page_token"]


def test_the_trial_balance_is_zero_for_the_merchant_and_for_all(platform: Platform) -> None:
    shop = platform.new_shop()
    shop.paid()
    mine = read(shop, "trial_balance")["lines"]
    key = {"authorization": f"Bearer {platform.stack.demo.platform_key}"}
    everybodys = requests.get(f"{platform.url}/v1/ledger/trial_balance", headers=key, timeout=TIMEOUT_S).json()["lines"]
    for lines in (mine, everybodys):
        assert lines and {line["total"] for line in lines} == {"0"}
