"""PayPal's disputes: answers keep PayPal's rules, and the money of a case is held, then settled as published."""

from typing import Any

import pytest
import requests
from paypalrestsdk import exceptions

from tests.sandbox.harness import TIMEOUT_S, Json, Running
from tests.sandbox.paypal_calls import captured, issue, money, post

EVIDENCE: Json = {
    "evidences": [
        {
            "evidence_type": "PROOF_OF_FULFILLMENT",
            "evidence_info": {"tracking_info": [{"carrier_name": "DHL", "tracking_number": "JD01460"}]},
        },
        {"evidence_type": "OTHER", "notes": "The parcel was signed for."},
    ]
}
ACCEPT: Json = {"note": "Full refund to the customer.", "accept_claim_type": "REFUND"}


def open_case(sandbox: Running, capture: Json, **wish: Any) -> Json:
    return sandbox.post("/sandbox/paypal/disputes", {"capture": capture["id"], **wish})


def decide(sandbox: Running, case: Json, status: str) -> Json:
    return sandbox.post(f"/sandbox/paypal/disputes/{case['dispute_id']}", {"status": status})


def read(sandbox: Running, case: Json) -> Any:
    return sandbox.paypal().get(f"v1/customer/disputes/{case['dispute_id']}")


def provide(sandbox: Running, case: Json, told: str, **headers: str) -> requests.Response:
    """Sends evidence as PayPal wants it: a form whose part `input` is JSON."""
    token = sandbox.paypal().get_access_token()
    url = f"{sandbox.url}/v1/customer/disputes/{case['dispute_id']}/provide-evidence"
    files = {"input": (None, told, "application/json")}
    return requests.post(url, files=files, headers={"Authorization": f"Bearer {token}", **headers}, timeout=TIMEOUT_S)


def books(sandbox: Running) -> Json:
    row: Json = sandbox.books("paypal_sandbox")["totals"]["USD"]
    return {name: row[name] for name in ("captured", "refunded", "disputed", "held", "dispute_fees")}


def test_a_case_holds_its_amount_and_names_its_capture(sandbox: Running) -> None:
    capture = captured(sandbox)
    case = open_case(sandbox, capture, amount=500)
    found = read(sandbox, case)
    assert found == case
    assert (found["status"], found["dispute_life_cycle_stage"]) == ("WAITING_FOR_SELLER_RESPONSE", "CHARGEBACK")
    assert found["dispute_amount"] == {"currency_code": "USD", "value": "5.00"}
    (transaction,) = found["disputed_transactions"]
    assert (transaction["seller_transaction_id"], transaction["invoice_number"]) == (capture["id"], "p-1")
    assert {link["rel"] for link in found["links"]} == {"self", "accept_claim", "provide_evidence"}
    assert books(sandbox) == {"captured": 2000, "refunded": 0, "disputed": 0, "held": 500, "dispute_fees": 0}
    told = sandbox.inbox.wait_for("CUSTOMER.DISPUTE.CREATED")[0].event
    assert (told["resource_type"], told["resource"]["dispute_id"]) == ("dispute", case["dispute_id"])


def test_cases_are_listed_newest_first_and_by_transaction(sandbox: Running) -> None:
    api = sandbox.paypal()
    assert "items" not in api.get("v1/customer/disputes")
    first, second = (captured(sandbox) for _ in range(2))
    cases = [open_case(sandbox, capture)["dispute_id"] for capture in (first, second)]
    assert [row["dispute_id"] for row in api.get("v1/customer/disputes")["items"]] == cases[::-1]
    found = api.get(f"v1/customer/disputes?disputed_transaction_id={first['id']}")["items"]
    assert [row["dispute_id"] for row in found] == cases[:1]
    with pytest.raises(exceptions.ResourceNotFound):
        api.get("v1/customer/disputes/PP-R-AAA-1")


def test_evidence_is_reviewed_and_taken_once(sandbox: Running) -> None:
    case = open_case(sandbox, captured(sandbox))
    told = '{"evidences": [{"evidence_type": "OTHER", "notes": "Here."}]}'
    answered = provide(sandbox, case, told)
    assert (answered.status_code, answered.json()["links"][0]["rel"]) == (200, "self")
    found = read(sandbox, case)
    assert (found["status"], found["evidences"][0]["notes"]) == ("UNDER_REVIEW", "Here.")
    assert "seller_response_due_date" not in found
    sandbox.inbox.wait_for("CUSTOMER.DISPUTE.UPDATED")
    again = provide(sandbox, case, told)
    assert (again.status_code, again.json()["details"][0]["issue"]) == (422, "INVALID_DISPUTE_STATUS")


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        ("{}", "MISSING_REQUIRED_PARAMETER"),
        ("{", "MALFORMED_REQUEST_JSON"),
        ('{"evidences": [{"notes": "untyped"}]}', "MISSING_REQUIRED_PARAMETER"),
        ('{"evidences": [{"evidence_type": "OTHER", "notes": "%s"}]}' % ("x" * 2001), "INVALID_STRING_LENGTH"),
        (
            '{"evidences": [{"evidence_type": "PROOF_OF_FULFILLMENT", "evidence_info": {"tracking_info":'
            ' [{"carrier_name": "OTHER", "tracking_number": "1"}]}}]}',
            "MISSING_REQUIRED_PARAMETER",
        ),
    ],
)
def test_evidence_has_a_form(sandbox: Running, told: str, refused: str) -> None:
    case = open_case(sandbox, captured(sandbox))
    assert provide(sandbox, case, told).json()["details"][0]["issue"] == refused
    assert read(sandbox, case)["status"] == "WAITING_FOR_SELLER_RESPONSE"


def test_evidence_comes_as_a_form_alone(sandbox: Running) -> None:
    case = open_case(sandbox, captured(sandbox))
    with pytest.raises(exceptions.ClientError) as refused:
        post(sandbox, f"v1/customer/disputes/{case['dispute_id']}/provide-evidence", EVIDENCE)
    assert refused.value.response.status_code == 415


def test_an_accepted_case_pays_the_customer_without_a_fee(sandbox: Running) -> None:
    capture = captured(sandbox)
    case = open_case(sandbox, capture)
    path = f"v1/customer/disputes/{case['dispute_id']}/accept-claim"
    assert post(sandbox, path, {})["error"]["details"][0]["issue"] == "MISSING_REQUIRED_PARAMETER"  # the SDK's way
    first, again = (post(sandbox, path, ACCEPT, "a-1") for _ in range(2))
    assert first == again
    assert issue(lambda: post(sandbox, path, ACCEPT, "a-2")) == "INVALID_DISPUTE_STATUS"
    found = read(sandbox, case)
    assert (found["status"], found["dispute_outcome"]["outcome_code"]) == ("RESOLVED", "RESOLVED_BUYER_FAVOUR")
    assert found["disputed_transactions"][0]["transaction_status"] == "REFUNDED"
    moved = [(one["affected_party"], one["type"], one["amount"]["value"]) for one in found["money_movements"]]
    assert moved == [("BUYER", "CREDIT", "20.00"), ("SELLER", "DEBIT", "20.00")]
    assert books(sandbox) == {"captured": 2000, "refunded": 0, "disputed": 2000, "held": 0, "dispute_fees": 0}
    refund = f"v2/payments/captures/{capture['id']}/refund"
    assert issue(lambda: post(sandbox, refund, money("1.00"))) == "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK"


@pytest.mark.parametrize(
    ("verdict", "outcome", "disputed", "fees"),
    [
        ("won", "RESOLVED_SELLER_FAVOUR", 0, 0),
        ("lost", "RESOLVED_BUYER_FAVOUR", 500, 1500),
        ("cancelled", "CANCELED_BY_BUYER", 0, 0),
    ],
)
def test_a_case_ends_on_command(sandbox: Running, verdict: str, outcome: str, disputed: int, fees: int) -> None:
    capture = captured(sandbox)
    case = open_case(sandbox, capture, amount=500, reason="UNAUTHORISED")
    refund = f"v2/payments/captures/{capture['id']}/refund"
    assert issue(lambda: post(sandbox, refund, money("1.00"))) == "TRANSACTION_DISPUTED"
    assert decide(sandbox, case, verdict)["dispute_outcome"]["outcome_code"] == outcome
    sandbox.inbox.wait_for("CUSTOMER.DISPUTE.RESOLVED")
    if fees:
        sandbox.inbox.wait_for("PAYMENT.CAPTURE.REVERSED")
    assert books(sandbox) == {
        "captured": 2000,
        "refunded": 0,
        "disputed": disputed,
        "held": 0,
        "dispute_fees": fees,
    }
    assert post(sandbox, refund)["amount"]["value"] == ("15.00" if disputed else "20.00")


def test_an_inquiry_becomes_a_claim(sandbox: Running) -> None:
    capture = captured(sandbox)
    case = open_case(sandbox, capture, inquiry=True)
    assert (case["status"], case["dispute_life_cycle_stage"]) == ("OPEN", "INQUIRY")
    grown = decide(sandbox, case, "claim")
    assert (grown["status"], grown["dispute_life_cycle_stage"]) == ("WAITING_FOR_SELLER_RESPONSE", "CHARGEBACK")
    twice = requests.post(f"{sandbox.url}/sandbox/paypal/disputes", json={"capture": capture["id"]}, timeout=TIMEOUT_S)
    assert twice.status_code == 422


def test_an_orders_capture_is_disputed_too(sandbox: Running) -> None:
    capture = captured(sandbox)
    order = capture["supplementary_data"]["related_ids"]["order_id"]
    case = sandbox.post("/sandbox/paypal/disputes", {"order": order})
    assert case["disputed_transactions"][0]["seller_transaction_id"] == capture["id"]
