"""Many at once, from many connections to several server processes: one charge a key, no cent too much."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.acceptance.shop import Shop, order, wait_until


@pytest.mark.parametrize("attempt", range(3))
def test_ten_creates_with_one_key_make_one_payment_and_one_charge(shop: Shop, attempt: int) -> None:
    body, key = order(), str(uuid4())

    def pay(_: int) -> requests.Response:
        return wait_until(lambda: shop.pay(body, key), lambda response: response.status_code != 409)  # still under way

    with ThreadPoolExecutor(10) as threads:
        responses = list(threads.map(pay, range(10)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 1
    assert sum("idempotent-replayed" not in response.headers for response in responses) == 1
    assert len(shop.call("GET", "/v1/payments").json()["payments"]) == 1
    assert [(entry["captured"], entry["refunded"]) for entry in shop.books()] == [(1999, 0)]


@pytest.mark.parametrize("attempt", range(3))
def test_fifty_refunds_at_once_never_exceed_what_was_captured(shop: Shop, attempt: int) -> None:
    payment = shop.paid(amount=1000)
    with ThreadPoolExecutor(50) as threads:
        responses = list(threads.map(lambda _: shop.post(payment, "refunds", {"amount": 130}), range(50)))
    accepted = [response for response in responses if response.status_code == 200]
    refused = [response for response in responses if response.status_code != 200]
    assert len(accepted) == 7
    assert {response.json()["error"]["code"] for response in refused} == {"REFUND_EXCEEDS_CAPTURED"}
    assert shop.get(payment)["amount_refunded"] == "910"
    assert [(entry["captured"], entry["refunded"]) for entry in shop.books()] == [(1000, 910)]


def test_captures_at_once_capture_once(shop: Shop) -> None:
    payment = shop.paid(capture_method="MANUAL")
    with ThreadPoolExecutor(10) as threads:
        responses = list(threads.map(lambda _: shop.post(payment, "capture"), range(10)))
    codes = [response.status_code for response in responses]
    assert codes.count(200) == 1
    assert set(codes) <= {200, 400, 409}
    assert [entry["captured"] for entry in shop.books()] == [1999]
