"""What clients asked and were told, call by call: the oracle holds it against what stands in the end."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Verb(StrEnum):
    """What a call asks for."""

    CREATE = "CREATE"
    CONFIRM = "CONFIRM"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one attempt.

    Attributes:
        id: TypeID of the payment or refund; empty for a refusal.
        state: As the contract names it; empty for a refusal.
        reason: Of a refusal, or the failure's code of a payment that failed.
    """

    id: str = ""
    state: str = ""
    reason: str = ""


@dataclass(slots=True)
class Call:
    """A call under one idempotency key; `answers` in the order in which they came.

    Attributes:
        merchant: Number of the merchant.
        payment: TypeID of the payment that it is about; empty for a creation.
        amount: Minor units that were asked for; None: all there is.
    """

    verb: Verb
    merchant: int
    key: str
    payment: str
    amount: int | None
    answers: list[Answer] = field(default_factory=list)


UNAVAILABLE: Final = "PROCESSOR_UNAVAILABLE"
"""Nothing was sent, and the key is free again: the next attempt under it is another payment or refund."""
