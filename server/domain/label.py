"""Whether a payment turned out to be fraud, and who knows. Written by analysts, read by `storage.labels`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Label(StrEnum):
    """What a payment turned out to be."""

    FRAUD = "FRAUD"
    LEGIT = "LEGIT"


class LabelSource(StrEnum):
    """Who knows, in the order of whom to believe."""

    ANALYST = "ANALYST"
    EARLY_FRAUD_WARNING = "EARLY_FRAUD_WARNING"
    DISPUTE = "DISPUTE"


@dataclass(frozen=True, slots=True)
class PaymentLabel:
    """What a payment turned out to be.

    Attributes:
        author: The analyst, else empty; so is `note`.
        created_at: When an analyst said so; None where none did.
    """

    payment_id: UUID
    label: Label
    source: LabelSource
    author: str = ""
    note: str = ""
    created_at: datetime | None = None
