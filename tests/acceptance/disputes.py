"""Disputes as acceptance tests see them: what customers, banks and merchants do, and whether the books agree."""

from typing import Any

import requests

from tests.acceptance.shop import TIMEOUT_S, Json, Shop, wait_until
from tests.acceptance.stacks import Platform, payment_uuid

EVIDENCE = {"explanation": "The parcel was signed for.", "shipping_carrier": "UPS", "shipping_date": "2026-01-31"}
WINNING, LOSING = {"explanation": "winning_evidence"}, {"explanation": "losing_evidence"}
"""Decide a dispute at once: https://docs.stripe.com/testing#evidence"""

_LEDGER = """
    SELECT account, sum(amount)::bigint FROM ledger_entries WHERE payment_id = %s GROUP BY account
"""
EXPLAINS = {
    "merchant_payable": lambda entry: -entry["captured"],
    "refunds": lambda entry: entry["refunded"],
    "disputes": lambda entry: entry["disputed"],
    "reserve": lambda entry: entry["held"],
    "fees": lambda entry: entry["fees"],
    "processor_receivable": lambda entry: (
        entry["captured"] - entry["refunded"] - entry["disputed"] - entry["held"] - entry["fees"]
    ),
}
"""What each account of the ledger must be, by the processor's own books."""


def dispute(shop: Shop, payment: Json, **how: Any) -> str:
    """The customer disputes a Stripe payment; returns Stripe's id of the dispute."""
    body = {"payment_intent": payment["processor_payment_id"], **how}
    made = requests.post(f"{shop.sandbox_url}/sandbox/stripe/disputes", json=body, timeout=TIMEOUT_S)
    assert made.ok, made.text
    return str(made.json()["id"])


def decide(shop: Shop, processor_dispute_id: str, status: str) -> None:
    """The bank decides, or turns its inquiry into a dispute (`needs_response`)."""
    url = f"{shop.sandbox_url}/sandbox/stripe/disputes/{processor_dispute_id}"
    made = requests.post(url, json={"status": status}, timeout=TIMEOUT_S)
    assert made.ok, made.text


def dispute_at_paypal(shop: Shop, payment: Json, **how: Any) -> str:
    """The customer opens a case about a PayPal payment; returns PayPal's id of it."""
    body = {"order": payment["processor_payment_id"], **how}
    made = requests.post(f"{shop.sandbox_url}/sandbox/paypal/disputes", json=body, timeout=TIMEOUT_S)
    assert made.ok, made.text
    return str(made.json()["dispute_id"])


def decide_at_paypal(shop: Shop, processor_dispute_id: str, status: str) -> None:
    """PayPal decides a case (`won`, `lost`), the customer withdraws it (`cancelled`), or makes a `claim` of it."""
    url = f"{shop.sandbox_url}/sandbox/paypal/disputes/{processor_dispute_id}"
    made = requests.post(url, json={"status": status}, timeout=TIMEOUT_S)
    assert made.ok, made.text


def disputes(shop: Shop, **query: str) -> list[Json]:
    """Lists the merchant's disputes."""
    response = shop.call("GET", "/v1/disputes", params=query)
    assert response.status_code == 200, response.text
    found: list[Json] = response.json()["disputes"]
    return found


def get(shop: Shop, dispute_id: str) -> Json:
    """Reads a dispute."""
    response = shop.call("GET", f"/v1/disputes/{dispute_id}")
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


def arrived(shop: Shop, payment: Json, seconds: float = 30.0) -> Json:
    """Waits until the payment's dispute is known."""
    found = wait_until(lambda: disputes(shop, payment_id=payment["id"]), bool, seconds)
    assert len(found) == 1
    one: Json = found[0]
    return one


def until(shop: Shop, one: Json, seconds: float = 30.0, **wanted: Any) -> Json:
    """Reads a dispute until its fields are as wished."""
    reached: Json = wait_until(lambda: get(shop, one["id"]), lambda now: wanted.items() <= now.items(), seconds)
    return reached


def answer(shop: Shop, one: Json, verb: str, body: Json | None = None, key: str | None = None) -> requests.Response:
    """Accepts a dispute (`accept`), or submits evidence."""
    return shop.call("POST", f"/v1/disputes/{one['id']}/{verb}", body or {}, key)


def submit(shop: Shop, one: Json, evidence: Json, key: str | None = None) -> requests.Response:
    """Submits evidence."""
    return answer(shop, one, "evidence", {"evidence": evidence}, key)


def ledger(platform: Platform, payment: Json) -> dict[str, int]:
    """Sums the ledger of a payment by account, without those that are even."""
    return {account: total for account, total in platform.query(_LEDGER, str(payment_uuid(payment["id"]))) if total}


def books_agree(platform: Platform, shop: Shop, payment: Json, seconds: float = 30.0) -> Json:
    """Waits until a payment's ledger is what its processor believes, to the cent; returns the processor's entry."""

    def both() -> tuple[dict[str, int], dict[str, int], Json]:
        entry = next(entry for entry in shop.books() if entry["payment"] == payment["id"])
        expected = {account: explain(entry) for account, explain in EXPLAINS.items()}
        return ledger(platform, payment), {name: total for name, total in expected.items() if total}, entry

    found: Json = wait_until(both, lambda now: now[0] == now[1], seconds)[2]
    return found


def told(platform: Platform, payment: Json) -> list[str]:
    """The types of the events about a payment's dispute, in their order."""
    sql = "SELECT type FROM events WHERE payment_id = %s AND type LIKE 'dispute.%%' ORDER BY id"
    return [row[0] for row in platform.query(sql, str(payment_uuid(payment["id"])))]


def kinds(shop: Shop, payment: Json) -> set[tuple[str, str]]:
    """Type and state of the transactions of a payment's dispute."""
    found = [(one["type"], one["state"]) for one in shop.transactions(payment)]
    return {one for one in found if one[0] in {"DISPUTE", "CHARGEBACK"}}
