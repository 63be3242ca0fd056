"""What every operation on PayPal's side works with: its books, clock and webhooks; built once by `sandbox.app`."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from sandbox.accounts import Account, Accounts
from sandbox.agenda import Agenda
from sandbox.faults import Faults
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.records import Authorization, Capture, Dispute, Event, Order, PayPalBooks, Refund
from sandbox.webhooks import Webhooks

Json = dict[str, Any]
R = TypeVar("R")

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
# PayPal keeps events for 30 days; memory is shorter here.
_EVENTS_KEPT: Final = 20_000
_SUMMARIES: Final = {
    "CUSTOMER.DISPUTE.CREATED": "A new dispute opened",
    "CUSTOMER.DISPUTE.UPDATED": "A dispute was updated",
    "CUSTOMER.DISPUTE.RESOLVED": "A dispute was resolved",
    "CHECKOUT.ORDER.APPROVED": "An order has been approved by buyer",
    "PAYMENT.AUTHORIZATION.CREATED": "A payment authorization was created",
    "PAYMENT.AUTHORIZATION.VOIDED": "A payment authorization was voided",
    "PAYMENT.CAPTURE.COMPLETED": "Payment completed",
    "PAYMENT.CAPTURE.PENDING": "Payment pending",
    "PAYMENT.CAPTURE.DENIED": "Payment denied",
    "PAYMENT.CAPTURE.REFUNDED": "Payment refunded",
    "PAYMENT.CAPTURE.REVERSED": "Payment reversed",
}


@dataclass(slots=True)
class Context:
    """PayPal's side. `later_s`: seconds until an eCheck clears or bounces."""

    books: PayPalBooks
    accounts: Accounts
    webhooks: Webhooks
    agenda: Agenda
    faults: Faults
    public_url: str
    later_s: float

    def publish(self, account_id: str, event_type: str, resource_type: str, resource: Json) -> None:
        """Records an event about a resource as it is now, and sends it to the account's endpoints."""
        created = now()
        event_id = f"WH-{new_id()}-{new_id()}"
        url = f"{self.public_url}/v1/notifications/webhooks-events/{event_id}"
        event = {
            "id": event_id,
            "event_version": "1.0",
            "create_time": timestamp(created),
            "resource_type": resource_type,
            "resource_version": "2.0",
            "event_type": event_type,
            "summary": _SUMMARIES[event_type],
            "resource": resource,
            "links": [
                {"href": url, "rel": "self", "method": "GET"},
                {"href": f"{url}/resend", "rel": "resend", "method": "POST"},
            ],
        }
        body = orjson.dumps(event)
        self.books.events.put(Event(account_id, event_id, created, event_type, body.decode()))
        self.books.events.keep_latest(account_id, _EVENTS_KEPT)
        account = self.accounts.get(account_id)
        if account:
            self.webhooks.send(account, event_id, event_type, body)

    def order(self, account: str, key: str) -> Order:
        """The account's order with that id; 404 otherwise."""
        return _found(self.books.orders.get(account, key))

    def authorization(self, account: str, key: str) -> Authorization:
        """The account's authorization with that id; 404 otherwise."""
        return _found(self.books.authorizations.get(account, key))

    def capture(self, account: str, key: str) -> Capture:
        """The account's capture with that id; 404 otherwise."""
        return _found(self.books.captures.get(account, key))

    def refund(self, account: str, key: str) -> Refund:
        """The account's refund with that id; 404 otherwise."""
        return _found(self.books.refunds.get(account, key))

    def dispute(self, account: str, key: str) -> Dispute:
        """The account's dispute with that id; 404 otherwise."""
        return _found(self.books.disputes.get(account, key))


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, with what. `representation`: the caller prefers the whole object."""

    account: Account
    body: Json
    path: Mapping[str, str]
    query: Mapping[str, str]
    representation: bool
    has_request_id: bool

    def text(self, name: str, limit: int = 127) -> str:
        """A string of the body, empty where absent."""
        return read_text(self.body, name, f"/{name}", limit)


def read_text(values: Json, name: str, field: str, limit: int = 127) -> str:
    """A string of at most `limit` characters, empty where absent."""
    value = values.get(name, "")
    if not isinstance(value, str):
        raise PayPalError("INVALID_PARAMETER_SYNTAX", field=field)
    if name in values and not 1 <= len(value) <= limit:
        raise PayPalError("INVALID_STRING_LENGTH", field=field)
    return value


def read_object(values: Json, name: str, field: str) -> Json:
    """An object, empty where absent."""
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayPalError("INVALID_PARAMETER_SYNTAX", field=field)
    return value


def _found(record: R | None) -> R:
    if record is None:
        raise PayPalError("INVALID_RESOURCE_ID")
    return record


def new_id() -> str:
    """A fresh id of 17 characters, as PayPal's are."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(17))


def now() -> int:
    """Seconds since the epoch."""
    return int(time.time())


def timestamp(seconds: int) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
