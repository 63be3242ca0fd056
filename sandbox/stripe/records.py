"""What Stripe's side remembers: amounts in Stripe's units of the currency (upper case), times in epoch seconds."""

from dataclasses import dataclass, field

from sandbox.store import Store


@dataclass(slots=True)
class Card:
    """What may be known of a card; the number and the CVC are never kept."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    fingerprint: str
    funding: str
    country: str
    cvc_check: str | None


@dataclass(slots=True)
class PaymentMethod:
    """`behaviour` names the row of the test cards or test bank accounts that decides what comes of it."""

    account: str
    id: str
    created: int
    type: str
    behaviour: str
    card: Card | None = None
    last4: str = ""
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    country: str | None = None
    postal_code: str | None = None
    line1: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Failure:
    """Why an attempt failed, in Stripe's words."""

    code: str
    message: str
    decline_code: str | None = None
    param: str | None = None
    type: str = "card_error"
    charge: str | None = None
    payment_method: str | None = None


@dataclass(slots=True)
class PaymentIntent:
    """`action` is empty, or which page the customer must visit: `three_d_secure` or `crypto`; `secret` opens it."""

    account: str
    id: str
    created: int
    amount: int
    currency: str
    capture_method: str
    payment_method_types: list[str]
    secret: str
    status: str = "requires_payment_method"
    metadata: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    receipt_email: str | None = None
    customer: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    setup_future_usage: str | None = None
    three_d_secure: str = "automatic"
    payment_method: str | None = None
    latest_charge: str | None = None
    amount_capturable: int = 0
    amount_received: int = 0
    return_url: str = ""
    action: str = ""
    failure: Failure | None = None
    canceled_at: int | None = None
    cancellation_reason: str | None = None


@dataclass(slots=True)
class Charge:
    """`released` is what a partial capture or a cancellation gave back: Stripe counts it as refunded.

    `told_at`: from then on the balance transaction is shown.
    """

    account: str
    id: str
    created: int
    payment_intent: str
    payment_method: str
    amount: int
    currency: str
    status: str
    captured: bool = False
    authenticated: bool = False
    amount_captured: int = 0
    amount_refunded: int = 0
    released: int = 0
    balance_transaction: str | None = None
    told_at: float = 0.0
    failure: Failure | None = None
    risk_level: str = "normal"
    dispute: str | None = None
    refunds: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Refund:
    """`release`: made by Stripe itself for what a capture or cancellation left, so no captured money moved."""

    account: str
    id: str
    created: int
    charge: str
    payment_intent: str
    amount: int
    currency: str
    status: str
    reason: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    release: bool = False
    failure_reason: str | None = None
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None


@dataclass(slots=True)
class Dispute:
    """`withdrawn`: the money was taken back when it became a dispute; an inquiry takes nothing."""

    account: str
    id: str
    created: int
    charge: str
    payment_intent: str
    amount: int
    currency: str
    reason: str
    status: str
    withdrawn: bool
    balance_transactions: list[str] = field(default_factory=list)
    evidence: dict[str, str] = field(default_factory=dict)
    submissions: int = 0


@dataclass(slots=True)
class FraudWarning:
    """The network's early word that a charge is called a fraud."""

    account: str
    id: str
    created: int
    charge: str
    payment_intent: str
    fraud_type: str


@dataclass(slots=True)
class BalanceTransaction:
    """A movement of the account's balance; `amount` and `net` are signed."""

    account: str
    id: str
    created: int
    type: str
    category: str
    amount: int
    fee: int
    currency: str
    source: str
    description: str | None = None


@dataclass(slots=True)
class Event:
    """`body` is the event as it was sent."""

    account: str
    id: str
    created: int
    type: str
    body: str


@dataclass(slots=True)
class Answer:
    """What an idempotency key stands for: the request's keyed hash and, when it is done, its answer."""

    account: str
    id: str
    created: int
    fingerprint: str
    path: str
    request_id: str
    status: int = 0
    body: str = ""


class StripeBooks:
    """The tables."""

    def __init__(self, store: Store) -> None:
        self.payment_methods = store.table("stripe.payment_method", PaymentMethod)
        self.intents = store.table("stripe.payment_intent", PaymentIntent)
        self.charges = store.table("stripe.charge", Charge)
        self.refunds = store.table("stripe.refund", Refund)
        self.disputes = store.table("stripe.dispute", Dispute)
        self.warnings = store.table("stripe.fraud_warning", FraudWarning)
        self.balance_transactions = store.table("stripe.balance_transaction", BalanceTransaction)
        self.events = store.table("stripe.event", Event)
        self.answers = store.table("stripe.answer", Answer)
