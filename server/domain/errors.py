"""Every way in which Kassa refuses a request; `rpc.errors` maps each to a status and renders it.

A decline is not here: it is an outcome of a payment, see `domain.decline`.
"""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Machine-readable reasons, the values of `ErrorReason` in `error_reason.proto`."""

    AUTHENTICATION_REQUIRED = "AUTHENTICATION_REQUIRED"
    API_KEY_INVALID = "API_KEY_INVALID"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    INVALID_FIELD = "INVALID_FIELD"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    IDEMPOTENCY_KEY_MISSING = "IDEMPOTENCY_KEY_MISSING"
    IDEMPOTENCY_KEY_INVALID = "IDEMPOTENCY_KEY_INVALID"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    REQUEST_IN_FLIGHT = "REQUEST_IN_FLIGHT"
    PAYMENT_NOT_FOUND = "PAYMENT_NOT_FOUND"
    MERCHANT_NOT_FOUND = "MERCHANT_NOT_FOUND"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    PROCESSOR_ACCOUNT_NOT_FOUND = "PROCESSOR_ACCOUNT_NOT_FOUND"
    ATTENTION_NOT_FOUND = "ATTENTION_NOT_FOUND"
    PAYMENT_STATE_INVALID = "PAYMENT_STATE_INVALID"
    OPERATION_IN_PROGRESS = "OPERATION_IN_PROGRESS"
    CAPTURE_EXCEEDS_AUTHORIZED = "CAPTURE_EXCEEDS_AUTHORIZED"
    REFUND_EXCEEDS_CAPTURED = "REFUND_EXCEEDS_CAPTURED"
    PAYMENT_DISPUTED = "PAYMENT_DISPUTED"
    DISPUTE_NOT_FOUND = "DISPUTE_NOT_FOUND"
    DISPUTE_STATE_INVALID = "DISPUTE_STATE_INVALID"
    DISPUTE_DEADLINE_PASSED = "DISPUTE_DEADLINE_PASSED"
    REVIEW_NOT_FOUND = "REVIEW_NOT_FOUND"
    REVIEW_CLOSED = "REVIEW_CLOSED"
    REVIEW_CLAIMED = "REVIEW_CLAIMED"
    LIST_ENTRY_NOT_FOUND = "LIST_ENTRY_NOT_FOUND"
    SNOOZE_NOT_FOUND = "SNOOZE_NOT_FOUND"
    DAILY_LIMIT_REACHED = "DAILY_LIMIT_REACHED"
    METHOD_NOT_SUPPORTED = "METHOD_NOT_SUPPORTED"
    CURRENCY_NOT_SUPPORTED = "CURRENCY_NOT_SUPPORTED"
    AMOUNT_NOT_REPRESENTABLE = "AMOUNT_NOT_REPRESENTABLE"
    PROCESSOR_REFUSED = "PROCESSOR_REFUSED"
    PROCESSOR_NOT_CONFIGURED = "PROCESSOR_NOT_CONFIGURED"
    WEBHOOK_SIGNATURE_INVALID = "WEBHOOK_SIGNATURE_INVALID"
    WEBHOOK_STALE = "WEBHOOK_STALE"
    PROCESSOR_UNAVAILABLE = "PROCESSOR_UNAVAILABLE"
    OVERLOADED = "OVERLOADED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    INTERNAL = "INTERNAL"


class KassaError(Exception):
    """A refusal with a reason that clients may rely on.

    Args:
        reason: What clients branch on.
        message: One sentence for people, with what to do next; never holds secrets or card data.
        metadata: Facts beside the reason, such as the limit that was exceeded; strings only.
        field: The request's field at fault, dotted (`card.number`), where one is.
    """

    def __init__(
        self, reason: Reason, message: str, *, metadata: Mapping[str, str] | None = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.field = field

    def snapshot(self) -> dict[str, object]:
        """Returns the error as JSON, as the idempotency record keeps it."""
        return {"reason": self.reason.value, "message": self.message, "metadata": self.metadata, "field": self.field}

    @staticmethod
    def restore(snapshot: Mapping[str, object]) -> "KassaError":
        """Makes the error that `snapshot` described."""
        metadata, field = snapshot["metadata"], snapshot["field"]
        assert isinstance(metadata, dict)
        return KassaError(
            Reason(str(snapshot["reason"])),
            str(snapshot["message"]),
            metadata=metadata,
            field=None if field is None else str(field),
        )


class InvalidField(KassaError):
    """One field of the request is wrong; the message says what it must be."""

    def __init__(self, field: str, must: str, *, reason: Reason = Reason.INVALID_FIELD) -> None:
        super().__init__(reason, f"{field} {must}", field=field)
