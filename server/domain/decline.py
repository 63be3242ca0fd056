"""Why a payment failed, in a closed vocabulary that every processor's codes are mapped to."""

from dataclasses import dataclass
from enum import StrEnum


class DeclineCode(StrEnum):
    """What `failure.code` of a payment or transaction may say."""

    CARD_DECLINED = "CARD_DECLINED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    EXPIRED_CARD = "EXPIRED_CARD"
    INCORRECT_CVC = "INCORRECT_CVC"
    INCORRECT_NUMBER = "INCORRECT_NUMBER"
    LOST_OR_STOLEN = "LOST_OR_STOLEN"
    PROCESSOR_FRAUD = "PROCESSOR_FRAUD"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    NOT_PERMITTED = "NOT_PERMITTED"
    CURRENCY_NOT_ACCEPTED = "CURRENCY_NOT_ACCEPTED"
    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"
    INSTRUMENT_INVALID = "INSTRUMENT_INVALID"
    PROCESSING_ERROR = "PROCESSING_ERROR"
    CUSTOMER_ABANDONED = "CUSTOMER_ABANDONED"
    REFUND_FAILED = "REFUND_FAILED"
    OPERATION_REFUSED = "OPERATION_REFUSED"
    """The processor refuses a capture, void or refund in the object's present state."""
    FRAUD_BLOCKED = "FRAUD_BLOCKED"
    REVIEW_NOT_POSSIBLE = "REVIEW_NOT_POSSIBLE"
    PROCESSOR_UNAVAILABLE = "PROCESSOR_UNAVAILABLE"
    PROCESSOR_REJECTED = "PROCESSOR_REJECTED"
    """The processor refused our request itself, for instance for wrong credentials: the merchant or we must act."""
    NOT_SUBMITTED = "NOT_SUBMITTED"
    """Recovery has proven that the processor never saw the request and never will."""


class Advice(StrEnum):
    """What the merchant may do about a failure."""

    RETRY_LATER = "RETRY_LATER"
    TRY_ANOTHER_METHOD = "TRY_ANOTHER_METHOD"
    CONFIRM_CARD_DATA = "CONFIRM_CARD_DATA"
    DO_NOT_RETRY = "DO_NOT_RETRY"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed.

    Attributes:
        code: Kassa's vocabulary.
        message: One sentence for people; never the processor's free text about a card.
        advice: What to do next.
        decline_code: The processor's own code, verbatim, if it gave one.
    """

    code: DeclineCode
    message: str
    advice: Advice
    decline_code: str | None = None
