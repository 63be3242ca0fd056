"""Whose money it is: processor accounts with their keys and webhook endpoints; every request is charged to one."""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from sandbox.store import Store


class Processor(StrEnum):
    """Whose wire protocol an account speaks."""

    STRIPE = "stripe"
    PAYPAL = "paypal"


@dataclass(slots=True)
class Endpoint:
    """Where an account's webhooks go.

    Attributes:
        id: Stripe's `we_…`; PayPal's webhook id, which is part of what it signs.
        secret: Stripe's `whsec_…`; empty for PayPal.
        events: Event types or globs that it wants.
    """

    id: str
    url: str
    secret: str = ""
    events: list[str] = field(default_factory=lambda: ["*"])

    def wants(self, event_type: str) -> bool:
        """Tells whether events of this type go there."""
        return any(fnmatchcase(event_type, pattern) for pattern in self.events)


@dataclass(slots=True)
class Account:
    """A merchant's account.

    Attributes:
        key: Stripe's API key or PayPal's client id; empty for a connected account that has none.
        secret: PayPal's client secret.
        platform: Id of the Stripe account whose key may act for this one through `Stripe-Account`.
    """

    account: str
    id: str
    processor: Processor
    key: str
    secret: str = ""
    platform: str = ""
    endpoints: list[Endpoint] = field(default_factory=list)


_ALL = "*"


class Accounts:
    """The accounts of both processors."""

    def __init__(self, store: Store) -> None:
        self._table = store.table("account", Account)

    def register(self, account: Account) -> Account:
        """Adds an account, or replaces the one with the same id."""
        account.account = _ALL
        return self._table.put(account)

    def remove(self, account: Account) -> None:
        """Forgets an account; its key is refused from now on."""
        self._table.remove(account)

    def changed(self, account: Account) -> None:
        """To be called after changing an account's endpoints."""
        self._table.put(account)

    def get(self, account_id: str) -> Account | None:
        """The account with that id."""
        return self._table.get(_ALL, account_id)

    def all(self) -> list[Account]:
        """Every account, in the order of registration."""
        return self._table.of(_ALL)

    def by_key(self, processor: Processor, key: str) -> Account | None:
        """The account that this API key or client id belongs to."""
        for account in self.all():
            if (
                account.processor is processor
                and account.key
                and hmac.compare_digest(account.key.encode(), key.encode())
            ):
                return account
        return None
