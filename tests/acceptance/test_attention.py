"""What people must look at, from the processor's dashboard to the list and its end: by both kinds of key."""

import kassa
import pytest
import requests

from tests.acceptance.shop import TIMEOUT_S, Json, Shop, wait_until
from tests.acceptance.stacks import Platform


def refunded_in_the_dashboard(shop: Shop) -> Json:
    payment = shop.paid()
    body = {"payment_intent": payment["processor_payment_id"], "amount": 500}
    requests.post(f"{shop.sandbox_url}/sandbox/stripe/refunds", json=body, timeout=TIMEOUT_S).raise_for_status()
    return shop.until(payment, lambda now: now["amount_refunded"] == "500")


def listed(shop: Shop, **query: str) -> list[Json]:
    response = shop.call("GET", "/v1/attention", params=query)
    assert response.status_code == 200, response.text
    found: list[Json] = response.json()["items"]
    return found


def test_a_dashboard_refund_is_shown_to_its_merchant_until_somebody_resolves_it(shop: Shop, other_shop: Shop) -> None:
    payment = refunded_in_the_dashboard(shop)
    (item,) = wait_until(lambda: listed(shop), lambda items: len(items) == 1)
    assert (item["kind"], item["payment_id"]) == ("EXTERNAL_REFUND", payment["id"])
    assert listed(shop, kind="EXTERNAL_REFUND", payment_id=payment["id"]) == [item]
    assert listed(shop, kind="CONTRADICTION") == listed(other_shop) == []

    path = f"/v1/attention/{item['id']}/resolve"
    body = {"note": "The shop agreed with its customer.", "resolved_by": "Ada"}
    assert other_shop.call("POST", path, body, "").json()["error"]["code"] == "ATTENTION_NOT_FOUND"
    first, again = (shop.call("POST", path, {**body, "resolved_by": who}, "") for who in ("Ada", "Bob"))
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["resolved_by"] == "Ada"
    assert listed(shop) == []
    assert [one["id"] for one in listed(shop, include_resolved="true")] == [item["id"]]


def test_the_platform_sees_the_items_of_every_merchant(platform: Platform, shop: Shop, other_shop: Shop) -> None:
    ours = {refunded_in_the_dashboard(one)["id"] for one in (shop, other_shop)}
    with kassa.Client(platform.grpc_target, platform.stack.demo.platform_key) as client:
        assert ours <= {item.payment_id for item in client.attention.list(page_size=1)}
        (item,) = client.attention.list(merchant_id=shop.merchant_id)
        assert item.payment_id in ours
        done = client.attention.resolve(item.id, note="Looked at.", resolved_by="operations@example.com")
        assert done.resolved_by == "operations@example.com"
        assert list(client.attention.list(merchant_id=shop.merchant_id)) == []
    with (
        kassa.Client(platform.grpc_target, other_shop.api_key) as client,
        pytest.raises(kassa.KassaError, match="merchant_id must be the merchant"),
    ):
        list(client.attention.list(merchant_id=shop.merchant_id))
