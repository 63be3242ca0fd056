"""What PayPal's side remembers: amounts in the smallest unit PayPal writes, times in epoch seconds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.store import Store


class Funding(StrEnum):
    """How the payer pays, which they choose on the approval page."""

    BALANCE = "balance"
    DECLINED = "declined"
    """The instrument is declined when the merchant captures or authorizes."""
    ECHECK = "echeck"
    """The capture is pending and clears later."""
    ECHECK_BOUNCES = "echeck_bounces"
    """The capture is pending and is denied later."""


@dataclass(slots=True)
class Order:
    """`wallet`: created with `payment_source.paypal`, so PayPal calls the approval `payer-action`."""

    account: str
    id: str
    created: int
    intent: str
    amount: int
    currency: str
    status: str
    reference_id: str = "default"
    custom_id: str = ""
    invoice_id: str = ""
    description: str = ""
    soft_descriptor: str = ""
    return_url: str = ""
    cancel_url: str = ""
    wallet: bool = False
    updated: int = 0
    funding: Funding | None = None
    authorizations: list[str] = field(default_factory=list)
    captures: list[str] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Authorization:
    """Held funds of an order; `captured` is what captures have taken of `amount`."""

    account: str
    id: str
    created: int
    order: str
    amount: int
    currency: str
    status: str
    captured: int = 0
    updated: int = 0


@dataclass(slots=True)
class Capture:
    """Taken funds; `authorization` is empty where the order was captured directly.

    `told_at`: from then on the fee is shown.
    """

    account: str
    id: str
    created: int
    order: str
    authorization: str
    amount: int
    currency: str
    status: str
    custom_id: str = ""
    invoice_id: str = ""
    final: bool = True
    refunded: int = 0
    pending_reason: str = ""
    told_at: float = 0.0
    updated: int = 0


@dataclass(slots=True)
class Refund:
    """Returned funds of a capture."""

    account: str
    id: str
    created: int
    order: str
    capture: str
    amount: int
    currency: str
    status: str = "COMPLETED"
    custom_id: str = ""
    invoice_id: str = ""
    note_to_payer: str = ""
    total_refunded: int = 0


@dataclass(slots=True)
class Movement:
    """Money that a dispute moved; `kind` is `DEBIT` or `CREDIT`."""

    party: str
    kind: str
    reason: str
    amount: int
    created: int


@dataclass(slots=True)
class Dispute:
    """A customer's case about a capture; `outcome` is empty until it is resolved, `amount` is on hold until then."""

    account: str
    id: str
    created: int
    capture: str
    amount: int
    currency: str
    reason: str
    status: str
    stage: str
    updated: int = 0
    outcome: str = ""
    evidences: list[dict[str, Any]] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Event:
    """`body` is the event as it was sent."""

    account: str
    id: str
    created: int
    type: str
    body: str


@dataclass(slots=True)
class RequestId:
    """What a `PayPal-Request-Id` was used for: `subject` is the object that the request made or changed."""

    account: str
    id: str
    created: int
    subject: str


class PayPalBooks:
    """The tables."""

    def __init__(self, store: Store) -> None:
        self.orders = store.table("paypal.order", Order)
        self.authorizations = store.table("paypal.authorization", Authorization)
        self.captures = store.table("paypal.capture", Capture)
        self.refunds = store.table("paypal.refund", Refund)
        self.disputes = store.table("paypal.dispute", Dispute)
        self.events = store.table("paypal.event", Event)
        self.request_ids = store.table("paypal.request_id", RequestId)
