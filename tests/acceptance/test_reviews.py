"""Analysts over REST: a payment that the rules leave to people is found, claimed, noted and decided; money follows."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.acceptance.shop import Json, Shop
from tests.acceptance.stacks import Platform, merchant_uuid

ADA = {"analyst": "ada@shop.example"}
HELD = {"currency": "KZT"}
"""The rules have no rate of it, so that they leave the payment to people."""


@pytest.fixture
def held(shop: Shop) -> Iterator[Json]:
    payment = shop.paid(**HELD)
    assert payment["state"] == "IN_REVIEW"
    yield payment


def review(shop: Shop, payment: Json, verb: str = "", body: Json | None = None, key: str | None = None) -> Json:
    path = f"/v1/reviews/{payment['id']}"
    response = shop.call("POST", f"{path}/{verb}", body or {}, key) if verb else shop.call("GET", path)
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def test_a_held_payment_is_found_claimed_noted_and_approved(shop: Shop, held: Json) -> None:
    queue = shop.call("GET", "/v1/reviews?state=OPEN").json()["reviews"]
    assert held["id"] in [one["payment"]["id"] for one in queue]
    assert review(shop, held, "claim", ADA)["claimed_by"] == "ada@shop.example"
    theft = shop.call("POST", f"/v1/reviews/{held['id']}/claim", {"analyst": "eve"})
    assert (theft.status_code, theft.json()["error"]["code"]) == (400, "REVIEW_CLAIMED")
    noted = review(shop, held, "notes", ADA | {"text": "Calls back."})
    assert [note["text"] for note in noted["notes"]] == ["Calls back."]
    assert {"name": "currency", "text": "KZT"} in noted["decision"]["facts"]
    key = str(uuid4())
    approved = review(shop, held, "approve", ADA | {"reason": "A regular."}, key)
    assert (approved["state"], approved["decided_through"]) == ("APPROVED", "ANALYST")
    assert (approved["payment"]["state"], approved["payment"]["amount_captured"]) == ("COMPLETED", "1999")
    assert review(shop, held, "approve", ADA | {"reason": "A regular."}, key) == approved
    assert shop.get(held)["state"] == "COMPLETED"
    assert [one["type"] for one in shop.transactions(held)] == ["AUTHORIZATION", "CAPTURE"]


def test_a_rejected_payment_is_released(shop: Shop, held: Json) -> None:
    rejected = review(shop, held, "reject", ADA)
    assert (rejected["state"], rejected["payment"]["state"]) == ("REJECTED", "CANCELLED")
    late = shop.call("POST", f"/v1/reviews/{held['id']}/approve", ADA)
    assert (late.status_code, late.json()["error"]["code"]) == (400, "REVIEW_CLOSED")


def test_the_merchants_own_capture_is_its_approval(shop: Shop, held: Json) -> None:
    assert shop.post(held, "capture").json()["state"] == "COMPLETED"
    found = review(shop, held)
    assert (found["state"], found["decided_through"]) == ("APPROVED", "MERCHANT")


def test_labels_decisions_and_statistics_tell_of_it(platform: Platform, shop: Shop, held: Json) -> None:
    said = shop.call("POST", "/v1/labels", ADA | {"payment_id": held["id"], "label": "FRAUD"})
    assert said.status_code == 200, said.text
    decision = shop.call("GET", f"/v1/decisions/{held['id']}").json()
    assert (decision["decision"]["outcome"], decision["label"]["label"]) == ("REVIEW", "FRAUD")
    listed = shop.call("GET", "/v1/decisions?outcome=REVIEW").json()["decisions"]
    assert held["id"] in [one["payment_id"] for one in listed]
    assert int(shop.call("GET", "/v1/rules/statistics").json()["fraud"]) >= 1
    merchants = "SELECT label FROM fraud_labels WHERE merchant_id = %s::uuid"
    assert ("FRAUD",) in platform.query(merchants, merchant_uuid(shop))


def test_a_value_is_put_on_a_list_and_taken_off(shop: Shop) -> None:
    entry = {"list_name": "blocked_ips", "value": f"ip-{uuid4().hex}", "author": "ada", "reason": "It tests cards."}
    added = shop.call("POST", "/v1/lists", entry).json()
    shown = shop.call("GET", f"/v1/lists?list_name=blocked_ips&value={entry['value']}").json()["entries"]
    assert [one["id"] for one in shown] == [added["id"]]
    removed = shop.call("POST", f"/v1/lists/{added['id']}/remove", {"removed_by": "grace"}).json()
    assert removed["removed_by"] == "grace"
    assert shop.call("GET", f"/v1/lists?value={entry['value']}").json()["entries"] == []
