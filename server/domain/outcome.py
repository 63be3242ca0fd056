"""What a processor says of a request; adapters return it and `domain.settlement` turns it into a payment's change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.domain.decline import Failure
from server.domain.fee import Fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """It is done.

    Attributes:
        amount: Minor units, as the *processor* says; the use case compares it with ours.
        currency: Upper case, as the processor says.
        processor_transaction_id: The object that later calls need: authorization, capture or refund.
        captured: For an authorization: the funds were taken, not only held.
        card_brand: With card_last4, card_exp_month, card_exp_year: what the processor tells of a tokenised card.
        fee: What the processor kept, where it says so already.
        checks: What it said of address, postcode, security code and 3-D Secure, in the words of `Payment`.
    """

    processor_payment_id: str
    processor_transaction_id: str
    amount: int
    currency: str
    captured: bool = False
    card_brand: str = ""
    card_last4: str = ""
    card_exp_month: int | None = None
    card_exp_year: int | None = None
    fee: Fee | None = None
    checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The processor or the issuer says no, finally. `processor_payment_id` where an object was made all the same;
    `checks` as for `Approved`."""

    failure: Failure
    processor_payment_id: str = ""
    processor_transaction_id: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequired:
    """The customer must act at `redirect_url`; afterwards `complete` carries on."""

    processor_payment_id: str
    redirect_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The processor has it and decides later (bank transfers, refunds under way, statuses we do not know)."""

    processor_payment_id: str
    processor_transaction_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The processor says that the authorization was called off or has expired: no money is held."""

    processor_payment_id: str


Outcome = Approved | Declined | ActionRequired | Pending | Cancelled


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer was lost: money may or may not have moved, and recovery will find out."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing reached the processor, so nothing can have happened."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The processor refused our request itself; `code` is its own word for why."""

    code: str


Finding = Outcome | Unknown | NotSent | Rejected
"""What a settlement is made of: the processor's word, or why there is none."""
