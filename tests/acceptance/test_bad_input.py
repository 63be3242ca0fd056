"""Bad input: a typed error in one shape that names the field, and nothing written. Over REST through real Envoy."""

from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.acceptance.shop import TIMEOUT_S, Shop, card, order

NUMBER = "4242424242424242"


def refused(response: requests.Response, status: int, code: str, param: str | None = None) -> None:
    """Holds an error against its shape."""
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code), response.text
    assert error["type"] and error["message"] and error["request_id"]
    assert error.get("param") == param
    assert NUMBER not in response.text and '"123"' not in response.text


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 10**15}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "DOLLAR"}, "currency"),
        ({"currency": None}, "currency"),
        ({"method": None}, "method"),
        ({"card": card("4242424242424241")}, "card.number"),
        ({"card": card() | {"exp_year": 2020}}, "card.exp_year"),
        ({"card": card() | {"cvc": "1"}}, "card.cvc"),
        ({"customer": {"id": "c", "ip": "999.1.1.1"}}, "customer.ip"),
        ({"billing_address": {"country": "Germany"}}, "billing_address.country"),
        ({"metadata": {"a": "b" * 501}}, "metadata.a"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
def test_a_wrong_field_is_named(shop: Shop, changes: dict[str, Any], param: str) -> None:
    refused(shop.pay(order(**changes)), 400, "INVALID_FIELD", param)
    assert shop.call("GET", "/v1/payments").json()["payments"] == []
    assert shop.books() == []


def test_an_instrument_is_needed_and_only_one(shop: Shop) -> None:
    assert shop.pay(order(card=None)).status_code == 400
    assert shop.pay(order(processor_token="pm_card_visa")).status_code == 400
    assert shop.books() == []


def test_money_moves_only_under_a_key(shop: Shop) -> None:
    refused(shop.pay(key=""), 400, "IDEMPOTENCY_KEY_MISSING", "idempotency-key")
    refused(shop.pay(key="ü".encode().decode("latin-1")), 400, "IDEMPOTENCY_KEY_INVALID", "idempotency-key")
    refused(shop.pay(key="k" * 256), 400, "IDEMPOTENCY_KEY_INVALID", "idempotency-key")


def test_a_key_belongs_to_one_request(shop: Shop) -> None:
    key, body = str(uuid4()), order()
    assert shop.pay(body, key).status_code == 201
    refused(shop.pay(body | {"amount": 2000}, key), 400, "IDEMPOTENCY_KEY_REUSED", "idempotency-key")


def test_a_key_is_needed_and_must_be_known(shop: Shop) -> None:
    url = f"{shop.url}/v1/payments"
    refused(requests.get(url, timeout=TIMEOUT_S), 401, "AUTHENTICATION_REQUIRED")
    wrong = {"authorization": "Bearer sk_test_wrong"}
    refused(requests.get(url, headers=wrong, timeout=TIMEOUT_S), 401, "API_KEY_INVALID")


def test_somebody_elses_payment_does_not_exist(shop: Shop, other_shop: Shop) -> None:
    payment = shop.paid(capture_method="MANUAL")
    path = f"/v1/payments/{payment['id']}"
    refused(other_shop.call("GET", path), 404, "PAYMENT_NOT_FOUND")
    for verb in ("capture", "cancel", "confirm", "refunds"):
        refused(other_shop.call("POST", f"{path}/{verb}", {}), 404, "PAYMENT_NOT_FOUND")
    assert shop.get(payment) == payment


def test_a_payment_in_the_query_does_not_override_the_one_in_the_path(shop: Shop) -> None:
    mine, other = shop.paid(), shop.paid()
    for name in ("payment_id", "paymentId", "%70ayment_id"):
        response = shop.call("GET", f"/v1/payments/{mine['id']}?{name}={other['id']}")
        assert response.status_code == 400
        assert other["id"] not in response.text


def test_unknown_ids_and_malformed_ids(shop: Shop) -> None:
    refused(shop.call("GET", "/v1/payments/pay_01h455vb4pex5vsknk084sn02q"), 404, "PAYMENT_NOT_FOUND")
    refused(shop.call("GET", "/v1/payments/nonsense"), 400, "INVALID_FIELD", "payment_id")


def test_wrong_states_and_limits(shop: Shop) -> None:
    held = shop.paid(capture_method="MANUAL")
    refused(shop.post(held, "refunds"), 400, "PAYMENT_STATE_INVALID")
    assert shop.post(held, "confirm").json()["state"] == "AUTHORIZED"  # nothing waits: it is told how it stands
    refused(shop.post(held, "capture", {"amount": 2000}), 400, "CAPTURE_EXCEEDS_AUTHORIZED", "amount")
    refused(shop.post(held, "capture", {"amount": 0}), 400, "INVALID_FIELD", "amount")
    cancelled = shop.post(shop.paid(capture_method="MANUAL"), "cancel").json()
    refused(shop.post(cancelled, "confirm"), 400, "PAYMENT_STATE_INVALID")
    taken = shop.paid()
    refused(shop.post(taken, "capture"), 400, "PAYMENT_STATE_INVALID")
    refused(shop.post(taken, "cancel"), 400, "PAYMENT_STATE_INVALID")
    refused(shop.post(taken, "refunds", {"amount": 2000}), 400, "REFUND_EXCEEDS_CAPTURED", "amount")


def test_what_a_processor_cannot_do_is_said_beforehand(shop: Shop) -> None:
    held_transfer = order(method="BANK_TRANSFER", card=None, capture_method="MANUAL")
    refused(shop.pay(held_transfer), 400, "METHOD_NOT_SUPPORTED", "capture_method")
    refused(shop.pay(order(currency="XXX")), 400, "CURRENCY_NOT_SUPPORTED", "currency")
    crypto = order(method="CRYPTOCURRENCY", card=None, currency="JPY")
    refused(shop.pay(crypto), 400, "CURRENCY_NOT_SUPPORTED", "currency")


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount": 1999, "card": {"number": 4242424242424242, "cvc": 123}}',
        b'{"amount": 1999, "card": {"number": "4242424242424242", "cvc": "123"',
        b'{"method": "4242424242424242"}',
        b"not json 4242424242424242",
        b'[{"number": "4242424242424242"}]',
    ],
)
def test_malformed_json_is_refused_without_quoting_it(shop: Shop, body: bytes) -> None:
    headers = {"authorization": f"Bearer {shop.api_key}", "content-type": "application/json", "idempotency-key": "k"}
    response = requests.post(f"{shop.url}/v1/payments", data=body, headers=headers, timeout=TIMEOUT_S)
    assert response.status_code == 400
    assert response.json()["error"]["code"]
    assert "4242" not in response.text
    assert shop.call("GET", "/v1/payments").json()["payments"] == []


def test_too_much_is_refused(shop: Shop) -> None:
    response = shop.pay(order(description="x" * 70_000))
    assert response.status_code == 413
    assert response.json()["error"]["code"]


def test_unknown_urls_and_methods(shop: Shop) -> None:
    assert shop.call("GET", "/v1/nothing").status_code == 404
    assert shop.call("GET", "/v1/nothing").json()["error"]["code"]
    assert shop.call("DELETE", "/v1/payments").status_code in {404, 405}


def test_text_that_would_break_a_batch_is_refused(shop: Shop) -> None:
    """NUL cannot be stored in Postgres; it would fail every neighbour in its batch."""
    refused(shop.pay(order(description="a\x00b")), 400, "INVALID_FIELD", "description")
