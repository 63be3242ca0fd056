"""Payments v2: holds, captures and refunds keep PayPal's limits."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from paypalrestsdk import exceptions

from tests.sandbox.harness import Running
from tests.sandbox.paypal_calls import approved, captured, hold, issue, money, post


def test_a_hold_is_captured_in_parts_until_the_final_one(sandbox: Running) -> None:
    held = hold(sandbox)
    path = f"v2/payments/authorizations/{held['id']}"
    first = post(sandbox, f"{path}/capture", money("5.00"))
    assert (first["status"], first["final_capture"]) == ("COMPLETED", False)
    assert sandbox.paypal().get(path)["status"] == "PARTIALLY_CAPTURED"
    last = post(sandbox, f"{path}/capture", money("10.00") | {"final_capture": True, "invoice_id": "p-1b"})
    assert (last["final_capture"], last["invoice_id"]) == (True, "p-1b")
    assert issue(lambda: post(sandbox, f"{path}/capture", money("1.00"))) == "AUTHORIZATION_ALREADY_CAPTURED"
    assert issue(lambda: post(sandbox, f"{path}/void")) == "PREVIOUSLY_CAPTURED"
    row = sandbox.books("paypal_sandbox")["totals"]["USD"]
    assert (row["authorized"], row["captured"]) == (2000, 1500)
    found = sandbox.paypal().get(f"v2/payments/captures/{first['id']}")
    assert found["supplementary_data"]["related_ids"]["authorization_id"] == held["id"]


def test_a_hold_may_be_overcaptured_by_15_percent_and_no_more(sandbox: Running) -> None:
    path = f"v2/payments/authorizations/{hold(sandbox)['id']}/capture"
    assert issue(lambda: post(sandbox, path, money("23.01"))) == "MAX_CAPTURE_AMOUNT_EXCEEDED"
    assert issue(lambda: post(sandbox, path, money("5.00", "EUR"))) == "AUTH_CAPTURE_CURRENCY_MISMATCH"
    assert post(sandbox, path, money("23.00"))["amount"]["value"] == "23.00"


def test_a_hold_is_voided_once(sandbox: Running) -> None:
    path = f"v2/payments/authorizations/{hold(sandbox)['id']}"
    assert post(sandbox, f"{path}/void")["status"] == "VOIDED"
    assert issue(lambda: post(sandbox, f"{path}/void")) == "PREVIOUSLY_VOIDED"
    assert issue(lambda: post(sandbox, f"{path}/capture")) == "AUTHORIZATION_VOIDED"
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["captured"] == 0


def test_a_void_answers_without_a_body_by_default(sandbox: Running) -> None:
    assert sandbox.paypal().post(f"v2/payments/authorizations/{hold(sandbox)['id']}/void") == {}
    assert sandbox.seen[-1].status == 204


def test_an_order_is_authorized_once_and_only_with_that_intent(sandbox: Running) -> None:
    held = approved(sandbox, "AUTHORIZE")
    path = f"v2/checkout/orders/{held['id']}/authorize"
    assert post(sandbox, path)["status"] == "COMPLETED"
    assert issue(lambda: post(sandbox, path)) == "ORDER_ALREADY_AUTHORIZED"
    direct = approved(sandbox)
    wrong = f"v2/checkout/orders/{direct['id']}/authorize"
    assert issue(lambda: post(sandbox, wrong)) == "ACTION_DOES_NOT_MATCH_INTENT"


def test_an_authorization_waits_for_approval_and_may_be_declined(sandbox: Running) -> None:
    declined = approved(sandbox, "AUTHORIZE", "approve_declined")
    assert issue(lambda: post(sandbox, f"v2/checkout/orders/{declined['id']}/authorize")) == "PAYER_CANNOT_PAY"


def test_refunds_add_up_to_the_capture_and_no_more(sandbox: Running) -> None:
    capture = captured(sandbox)
    path = f"v2/payments/captures/{capture['id']}"
    part = post(sandbox, f"{path}/refund", money("7.00") | {"custom_id": "t-2", "note_to_payer": "Sorry"})
    assert (part["status"], part["custom_id"], part["note_to_payer"]) == ("COMPLETED", "t-2", "Sorry")
    assert sandbox.paypal().get(f"v2/payments/refunds/{part['id']}")["amount"]["value"] == "7.00"
    assert sandbox.paypal().get(path)["status"] == "PARTIALLY_REFUNDED"
    assert issue(lambda: post(sandbox, f"{path}/refund", money("13.01"))) == "REFUND_AMOUNT_EXCEEDED"
    wrong = money("1.00", "EUR")
    assert issue(lambda: post(sandbox, f"{path}/refund", wrong)) == "REFUND_CAPTURE_CURRENCY_MISMATCH"
    assert post(sandbox, f"{path}/refund")["amount"]["value"] == "13.00"
    assert issue(lambda: post(sandbox, f"{path}/refund")) == "CAPTURE_FULLY_REFUNDED"
    books = sandbox.books("paypal_sandbox")
    assert books["totals"]["USD"]["refunded"] == 2000
    assert [refund["reference"] for refund in books["payments"][0]["refunds"]] == ["t-2", ""]


def test_a_refund_is_repeated_without_harm(sandbox: Running) -> None:
    path = f"v2/payments/captures/{captured(sandbox)['id']}/refund"
    first, again = (post(sandbox, path, money("7.00"), "f-1") for _ in range(2))
    assert first == again
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["refunded"] == 700


def test_a_pending_or_denied_capture_is_not_refunded(sandbox: Running) -> None:
    capture = captured(sandbox, "approve_echeck_bounces")
    path = f"v2/payments/captures/{capture['id']}/refund"
    sandbox.inbox.wait_for("PAYMENT.CAPTURE.DENIED")
    assert issue(lambda: post(sandbox, path)) == "REFUND_NOT_ALLOWED"


def test_decimals_of_a_whole_currency_are_refused(sandbox: Running) -> None:
    path = f"v2/payments/captures/{captured(sandbox)['id']}/refund"
    assert issue(lambda: post(sandbox, path, money("100.5", "JPY"))) == "DECIMALS_NOT_SUPPORTED"


def test_a_refund_on_paypals_own_site(sandbox: Running) -> None:
    capture = captured(sandbox)
    made = sandbox.post("/sandbox/paypal/refunds", {"capture": capture["id"], "amount": 500})
    told = sandbox.inbox.wait_for("PAYMENT.CAPTURE.REFUNDED")[0].event["resource"]
    assert (told["id"], told["amount"]["value"]) == (made["id"], "5.00")


def test_of_two_at_the_same_time_one_is_told_to_wait(sandbox: Running) -> None:
    path = f"v2/payments/captures/{captured(sandbox)['id']}/refund"
    sandbox.fault("latency", "paypal.captures.refund", seconds=3, times=1)

    def attempt(_: int) -> str:
        try:
            return str(post(sandbox, path, money("5.00"), "f-1")["id"])
        except exceptions.ResourceConflict:
            return ""

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(attempt, range(4)))
    assert "" in answers and len(answers) == 2
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["refunded"] == 500


@pytest.mark.parametrize("path", ["authorizations", "captures", "refunds"])
def test_what_is_not_there_is_not_found(sandbox: Running, path: str) -> None:
    with pytest.raises(exceptions.ResourceNotFound):
        sandbox.paypal().get(f"v2/payments/{path}/2GG279541U471931P")
