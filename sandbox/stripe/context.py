"""What every operation on Stripe's side works with: its books, its clock, its webhooks; built once by `sandbox.app`."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from sandbox.accounts import Account, Accounts
from sandbox.agenda import Agenda
from sandbox.faults import Faults
from sandbox.stripe.params import Params
from sandbox.stripe.records import Event, StripeBooks
from sandbox.webhooks import Webhooks

Json = dict[str, Any]

API_VERSION: Final = "2026-10-28.endive"
# Stripe keeps events for 30 days; memory is shorter here.
_EVENTS_KEPT: Final = 20_000


@dataclass(slots=True)
class Context:
    """Stripe's side.

    Attributes:
        later_s: Seconds until bank debits settle, disputes arrive and late refunds change.
        search_lag_s: Seconds until a search finds what was made.
    """

    books: StripeBooks
    accounts: Accounts
    webhooks: Webhooks
    agenda: Agenda
    faults: Faults
    public_url: str
    later_s: float
    search_lag_s: int

    def publish(self, account_id: str, event_type: str, rendered: Json) -> None:
        """Records an event about an object as it is now, and sends it to the account's endpoints."""
        account = self.accounts.get(account_id)
        endpoints = account.endpoints if account else []
        event_id, created = new_id("evt"), now()
        event: Json = {
            "id": event_id,
            "object": "event",
            "api_version": API_VERSION,
            "created": created,
            "data": {"object": rendered},
            "livemode": False,
            "pending_webhooks": sum(endpoint.wants(event_type) for endpoint in endpoints),
            "request": {"id": None, "idempotency_key": None},
            "type": event_type,
        }
        if account and account.platform:
            event["account"] = account.id
        body = orjson.dumps(event)
        self.books.events.put(Event(account_id, event_id, created, event_type, body.decode()))
        self.books.events.keep_latest(account_id, _EVENTS_KEPT)
        if account:
            self.webhooks.send(account, event_id, event_type, body)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, with what; `path` holds the ids in the URL."""

    account: Account
    params: Params
    path: Mapping[str, str]


def new_id(prefix: str) -> str:
    """A fresh id such as `pi_…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


def now() -> int:
    """Seconds since the epoch."""
    return int(time.time())
