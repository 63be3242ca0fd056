"""Accounts at the sandbox, as a test and the adapters know them."""

import secrets
from typing import Any
from uuid import uuid4

from server.processors.contract import Account
from tests.processors.sandbox_process import Json, Sandbox


class _SandboxAccount:
    sandbox: Sandbox
    books: str

    def fault(self, kind: str, operation: str, **rule: Any) -> None:
        """Puts a fault in force for this account; it strikes once unless told otherwise."""
        self.sandbox.fault(self.books, kind, operation, **rule)

    def payments(self) -> list[Json]:
        """What the books say."""
        return self.sandbox.payments(self.books)


class StripeAccount(_SandboxAccount):
    """A fresh Stripe account; its webhooks go to `webhook_url`, where one is given."""

    def __init__(self, sandbox: Sandbox, webhook_url: str = "") -> None:
        self.sandbox = sandbox
        key, secret = f"sk_test_{secrets.token_hex(8)}", f"whsec_{secrets.token_hex(8)}"
        self.books = sandbox.register(processor="stripe", api_key=key, webhook_url=webhook_url, webhook_secret=secret)[
            "id"
        ]
        credentials = {"secret_key": key, "webhook_secret": secret}
        self.account = Account(uuid4(), uuid4(), "stripe", True, credentials)


class PayPalAccount(_SandboxAccount):
    """A fresh PayPal account; its webhooks go to `webhook_url`, where one is given."""

    def __init__(self, sandbox: Sandbox, webhook_url: str = "") -> None:
        self.sandbox = sandbox
        client, secret = f"client-{secrets.token_hex(8)}", secrets.token_hex(16)
        webhook = f"WH{secrets.token_hex(8)}"
        self.books = sandbox.register(
            processor="paypal", client_id=client, client_secret=secret, webhook_url=webhook_url, webhook_id=webhook
        )["id"]
        credentials = {"client_id": client, "client_secret": secret, "webhook_id": webhook}
        self.account = Account(uuid4(), uuid4(), "paypal", True, credentials)
