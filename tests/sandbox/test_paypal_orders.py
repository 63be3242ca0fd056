"""Orders v2 behave as PayPal documents them, asked through the official SDK."""

import pytest
import requests
from paypalrestsdk import exceptions

from tests.sandbox.harness import TIMEOUT_S, Json, Running
from tests.sandbox.paypal_calls import CANCEL_URL, RETURN_URL, approved, captured, create, issue, link, order, post


def test_an_order_is_approved_on_its_page_and_captured_once(sandbox: Running) -> None:
    made = create(sandbox)
    assert made["status"] == "PAYER_ACTION_REQUIRED"
    capture = f"v2/checkout/orders/{made['id']}/capture"
    assert issue(lambda: post(sandbox, capture)) == "ORDER_NOT_APPROVED"
    back = sandbox.choose(link(made, "payer-action"), "approve")
    assert back.startswith(RETURN_URL) and f"token={made['id']}" in back and "PayerID=" in back
    assert sandbox.paypal().get(f"v2/checkout/orders/{made['id']}")["status"] == "APPROVED"
    done = post(sandbox, capture)
    taken = done["purchase_units"][0]["payments"]["captures"][0]
    assert (done["status"], taken["status"], taken["amount"]["value"]) == ("COMPLETED", "COMPLETED", "20.00")
    assert (taken["custom_id"], taken["invoice_id"]) == ("t-1", "p-1")
    assert taken["seller_receivable_breakdown"]["net_amount"]["value"] == "18.81"
    assert issue(lambda: post(sandbox, capture)) == "ORDER_ALREADY_CAPTURED"
    books = sandbox.books("paypal_sandbox")
    assert (books["payments"][0]["reference"], books["totals"]["USD"]["captured"]) == ("t-1", 2000)


def test_a_payer_may_cancel_and_think_again(sandbox: Running) -> None:
    made = create(sandbox)
    assert sandbox.choose(link(made, "payer-action"), "cancel") == f"{CANCEL_URL}?token={made['id']}"
    assert issue(lambda: post(sandbox, f"v2/checkout/orders/{made['id']}/capture")) == "ORDER_NOT_APPROVED"
    sandbox.choose(link(made, "payer-action"), "approve")


def test_an_approved_order_is_not_approved_again(sandbox: Running) -> None:
    page = link(create(sandbox), "payer-action")
    sandbox.choose(page, "approve")
    again = requests.post(page, data={"choice": "approve_declined"}, allow_redirects=False, timeout=TIMEOUT_S)
    assert again.status_code == 409


def test_the_older_way_without_a_payment_source_offers_an_approve_link(sandbox: Running) -> None:
    body = order() | {"application_context": {"return_url": RETURN_URL, "cancel_url": CANCEL_URL}}
    del body["payment_source"]
    made = create(sandbox, body)
    assert made["status"] == "CREATED"
    assert sandbox.choose(link(made, "approve"), "approve").startswith(RETURN_URL)


def test_a_declined_instrument_can_be_replaced(sandbox: Running) -> None:
    made = approved(sandbox, choice="approve_declined")
    path = f"v2/checkout/orders/{made['id']}/capture"
    assert issue(lambda: post(sandbox, path, request_id="same")) == "INSTRUMENT_DECLINED"
    sandbox.choose(link(made, "payer-action"), "approve")
    assert post(sandbox, path, request_id="same")["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("choice", "event", "status", "taken"),
    [
        ("approve_echeck", "PAYMENT.CAPTURE.COMPLETED", "COMPLETED", 2000),
        ("approve_echeck_bounces", "PAYMENT.CAPTURE.DENIED", "DECLINED", 0),
    ],
)
def test_an_echeck_is_pending_first(sandbox: Running, choice: str, event: str, status: str, taken: int) -> None:
    capture = captured(sandbox, choice)
    assert (capture["status"], capture["status_details"]["reason"]) == ("PENDING", "ECHECK")
    sandbox.inbox.wait_for(event)
    assert sandbox.paypal().get(f"v2/payments/captures/{capture['id']}")["status"] == status
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["captured"] == taken


def test_a_repeat_under_the_same_request_id_is_answered_with_the_latest_state(sandbox: Running) -> None:
    made = create(sandbox, request_id="r-1")
    sandbox.choose(link(made, "payer-action"), "approve")
    again = create(sandbox, request_id="r-1")
    assert (again["id"], again["status"]) == (made["id"], "APPROVED")
    path = f"v2/checkout/orders/{made['id']}/capture"
    first, second = (post(sandbox, path, request_id="r-1") for _ in range(2))
    assert first["purchase_units"] == second["purchase_units"]
    assert [seen.status for seen in sandbox.seen if seen.path.endswith("/capture")] == [201, 200]
    assert sandbox.books("paypal_sandbox")["totals"]["USD"] == {
        "payments": 1,
        "authorized": 2000,
        "captured": 2000,
        "refunded": 0,
        "disputed": 0,
        "held": 0,
        "fees": 119,
        "dispute_fees": 0,
    }


def test_without_a_request_id_a_repeat_is_another_order(sandbox: Running) -> None:
    body = order()
    del body["payment_source"]
    api = sandbox.paypal()
    assert api.post("v2/checkout/orders", body)["id"] != api.post("v2/checkout/orders", body)["id"]


def _changed(**unit: object) -> Json:
    body = order()
    body["purchase_units"][0] |= unit
    return body


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (order(currency="INR"), "INVALID_CURRENCY_CODE"),
        (order(value="0.00"), "CANNOT_BE_ZERO_OR_NEGATIVE"),
        (order(value="1.001"), "DECIMAL_PRECISION"),
        (order(value="100.00", currency="JPY"), "DECIMAL_PRECISION"),
        (order() | {"payment_source": {"card": {"number": "4111111111111111"}}}, "NOT_ENABLED_FOR_CARD_PROCESSING"),
    ],
)
def test_an_order_that_paypal_cannot_take_is_refused(sandbox: Running, body: Json, refusal: str) -> None:
    assert issue(lambda: create(sandbox, body)) == refusal


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (order() | {"intent": "SALE"}, "INVALID_PARAMETER_VALUE"),
        (order(value="1,00"), "INVALID_PARAMETER_SYNTAX"),
        (_changed(amount=None), "MISSING_REQUIRED_PARAMETER"),
        (_changed(custom_id="x" * 128), "INVALID_STRING_LENGTH"),
        ({"intent": "CAPTURE"}, "MISSING_REQUIRED_PARAMETER"),
    ],
)
def test_a_malformed_order_is_a_bad_request(sandbox: Running, body: Json, refusal: str) -> None:
    answer = create(sandbox, body)
    assert answer["error"]["name"] == "INVALID_REQUEST"
    assert answer["error"]["details"][0]["issue"] == refusal


def test_whole_currencies_are_written_without_decimals(sandbox: Running) -> None:
    made = create(sandbox, order(value="500", currency="JPY"))
    assert made["purchase_units"][0]["amount"] == {"currency_code": "JPY", "value": "500"}
    create(sandbox, order(value="500", currency="HUF"))
    amounts = [payment["amount"] for payment in sandbox.books("paypal_sandbox")["payments"]]
    assert amounts == [500, 50000]


def test_an_unknown_order_is_not_found(sandbox: Running) -> None:
    with pytest.raises(exceptions.ResourceNotFound):
        sandbox.paypal().get("v2/checkout/orders/5O190127TN364715T")
    assert requests.get(f"{sandbox.url}/checkoutnow?token=none", timeout=TIMEOUT_S).status_code == 404


def test_a_minimal_answer_has_no_more_than_its_links(sandbox: Running) -> None:
    made = sandbox.paypal().post("v2/checkout/orders", order(), headers={"PayPal-Request-Id": "r"})
    assert made.keys() == {"id", "status", "payment_source", "links"}


def test_negative_testing_by_header(sandbox: Running) -> None:
    header = {"PayPal-Mock-Response": '{"mock_application_codes": "PAYER_CANNOT_PAY"}'}
    made = approved(sandbox)
    assert (
        issue(lambda: post(sandbox, f"v2/checkout/orders/{made['id']}/capture", None, **header)) == "PAYER_CANNOT_PAY"
    )
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["captured"] == 0


def test_credentials_and_tokens_are_checked(sandbox: Running) -> None:
    with pytest.raises(exceptions.UnauthorizedAccess):
        sandbox.paypal(secret="wrong").get_access_token()
    refused = requests.get(
        f"{sandbox.url}/v2/checkout/orders/X", headers={"Authorization": "Bearer made-up"}, timeout=TIMEOUT_S
    )
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    token = sandbox.paypal().get_token_hash()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 32_400)


def test_a_token_ends(expired: Running) -> None:
    headers = {"Authorization": f"Bearer {expired.paypal().get_access_token()}"}
    assert requests.get(f"{expired.url}/v2/checkout/orders/X", headers=headers, timeout=TIMEOUT_S).status_code == 401


def test_an_account_does_not_see_anothers_order(sandbox: Running) -> None:
    made = create(sandbox)
    other = {"processor": "paypal", "client_id": "other", "client_secret": "other-secret"}
    sandbox.post("/sandbox/accounts", other)
    with pytest.raises(exceptions.ResourceNotFound):
        sandbox.paypal("other", "other-secret").get(f"v2/checkout/orders/{made['id']}")
