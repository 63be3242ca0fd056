"""How a sandbox is set up; `serve` reads it from the command line, tests build it themselves. Times are in seconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

STRIPE_EVENTS: Final = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.requires_action",
    "payment_intent.amount_capturable_updated",
    "payment_intent.processing",
    "charge.refunded",
    "charge.dispute.*",
    "radar.early_fraud_warning.*",
    "refund.*",
)
"""What the demo's endpoint wants of Stripe's events; the others are recorded only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Demo accounts and behaviour.

    Attributes:
        public_url: How clients and browsers reach this server; links and certificate addresses begin with it.
        webhook_url: Base address that webhooks go to; empty: none are sent by the demo accounts.
        state: File that keeps everything over restarts; None: memory alone.
        paypal_ca_file: Where the anchor of PayPal's webhook certificates is written; None: nowhere.
        later_s: Until bank debits settle, disputes arrive and late refunds change.
        search_lag_s: Until Stripe's search finds a new object.
        retry_s: Before the second delivery of a webhook; the pause doubles up to `longest_retry_s`.
    """

    public_url: str
    webhook_url: str = ""
    state: Path | None = None
    stripe_key: str = "sk_test_sandbox"
    stripe_webhook_secret: str = "whsec_sandbox"
    paypal_client_id: str = "sandbox-client"
    paypal_client_secret: str = "sandbox-secret"
    paypal_webhook_id: str = "WH-SANDBOX"
    paypal_ca_file: Path | None = None
    paypal_token_s: int = 32_400
    later_s: float = 2.0
    search_lag_s: int = 1
    retry_s: float = 0.5
    longest_retry_s: float = 30.0
