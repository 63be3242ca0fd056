"""A merchant's shop as tests use it: REST through Envoy, and the sandbox's books beside it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import requests

from server.domain.ids import Prefix, parse_id

VISA = "4242424242424242"
DECLINED = "4000000000000002"
THREE_D_SECURE = "4000000000003220"
TIMEOUT_S = 40.0
Json = dict[str, Any]
T = TypeVar("T")


def card(number: str = VISA) -> Json:
    """A card as requests carry it."""
    return {"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123", "holder": "Ada Byron"}


def order(**changes: Any) -> Json:
    """A card payment of 19.99 USD; None takes a field away."""
    body: Json = {
        "amount": 1999,
        "currency": "USD",
        "method": "CREDIT_CARD",
        "card": card(),
        "customer": {"id": f"cus_{uuid4().hex}", "email": "ada@example.com", "ip": "203.0.113.7"},
        "billing_address": {"country": "US"},
        "shipping_address": {"country": "US"},
        "description": "Order 1001",
        "metadata": {"order": "1001"},
        "return_url": "https://shop.example/done",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def wallet_order(**changes: Any) -> Json:
    """A PayPal payment of 19.99 USD."""
    urls = {"return_url": "https://shop.example/done", "cancel_url": "https://shop.example/cancelled"}
    return order(method="DIGITAL_WALLET", card=None, wallet={}, **urls, **changes)


@dataclass(frozen=True)
class Shop:
    """One merchant with a key of its own."""

    url: str
    sandbox_url: str
    merchant_id: str
    api_key: str

    def call(
        self, method: str, path: str, body: Json | None = None, key: str | None = None, **how: Any
    ) -> requests.Response:
        """Calls Kassa, and again while it says so; a key is made where none is given and the call moves money."""
        headers = {"authorization": f"Bearer {self.api_key}"} | how.pop("headers", {})
        if method == "POST" and key != "":
            headers["idempotency-key"] = key or str(uuid4())

        def once() -> requests.Response:
            return requests.request(method, self.url + path, json=body, headers=headers, timeout=TIMEOUT_S, **how)

        return wait_until(once, lambda response: not is_told_to_come_again(response))

    def pay(self, body: Json | None = None, key: str | None = None) -> requests.Response:
        """Creates a payment."""
        return self.call("POST", "/v1/payments", order() if body is None else body, key)

    def paid(self, **changes: Any) -> Json:
        """A payment that was created without a complaint."""
        response = self.pay(order(**changes))
        assert response.status_code == 201, response.text
        payment: Json = response.json()
        return payment

    def post(self, payment: Json, verb: str, body: Json | None = None, key: str | None = None) -> requests.Response:
        """Captures, cancels, confirms or refunds a payment."""
        return self.call("POST", f"/v1/payments/{payment['id']}/{verb}", body or {}, key)

    def get(self, payment: Json) -> Json:
        """Reads a payment as it stands."""
        response = self.call("GET", f"/v1/payments/{payment['id']}")
        assert response.status_code == 200, response.text
        found: Json = response.json()
        return found

    def transactions(self, payment: Json) -> list[Json]:
        """Lists what was asked of the processor."""
        response = self.call("GET", f"/v1/payments/{payment['id']}/transactions")
        assert response.status_code == 200, response.text
        found: list[Json] = response.json()["transactions"]
        return found

    def until(self, payment: Json, done: Callable[[Json], bool], seconds: float = 30.0) -> Json:
        """Reads a payment until it is as wished."""
        return wait_until(lambda: self.get(payment), done, seconds)

    def act(self, payment: Json, choice: str = "approve") -> None:
        """Does what the customer does on the page that the payment names."""
        page = payment["next_action"]["redirect_url"]
        shown = requests.get(page, timeout=TIMEOUT_S)
        assert shown.status_code == 200
        answer = requests.post(page, data={"choice": choice}, allow_redirects=False, timeout=TIMEOUT_S)
        assert answer.status_code in {302, 303}

    def books(self) -> list[Json]:
        """What the processors believe of this merchant's payments; `payment` is Kassa's id of each."""
        response = requests.get(f"{self.sandbox_url}/books", timeout=TIMEOUT_S)
        entries = [entry for account in response.json()["accounts"] for entry in account["payments"]]
        known = {one["processor_payment_id"]: one["id"] for one in self.payments()}
        merchant = str(parse_id(Prefix.MERCHANT, self.merchant_id, "merchant_id"))
        ours = [
            entry
            for entry in entries
            if entry["id"] in known or entry.get("metadata", {}).get("kassa_merchant") == merchant
        ]
        # A fence is an intent without a card, made to prove that another one was never sent: nothing was asked of it.
        return [
            entry | {"payment": known.get(entry["id"], "")}
            for entry in ours
            if "kassa_fence" not in entry.get("metadata", {})
        ]

    def payments(self) -> list[Json]:
        """All payments of this merchant."""
        found: list[Json] = []
        query = {"page_size": "100"}
        while True:
            page = self.call("GET", "/v1/payments", params=query).json()
            assert "payments" in page, page
            found += page["payments"]
            if not page["next_page_token"]:
                return found
            query["page_token"] = page["next_page_token"]


def is_told_to_come_again(response: requests.Response) -> bool:
    """Says whether nothing was done, for now: much waits, or another has the payment, such as a webhook's own look.

    Both pass, and on a machine that stands still for a moment both come.
    """
    if response.status_code not in {409, 503}:
        return False
    error = response.json().get("error") or {}  # a payment that failed has none of its own
    return error.get("code") in {"OVERLOADED", "OPERATION_IN_PROGRESS"}


def wait_until(read: Callable[[], T], done: Callable[[T], bool], seconds: float = 30.0) -> T:
    """Reads until `done`, and fails with the last reading when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if done(value):
            return value
        assert time.monotonic() < deadline, f"still {value}"
        time.sleep(0.05)
