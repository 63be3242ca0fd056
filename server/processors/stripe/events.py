"""Stripe's webhooks: verified over their raw bytes, then read for the objects they speak of. `adapter` calls.

https://docs.stripe.com/webhooks
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import stripe

from server.processors.contract import EventRejected, ProcessorEvent, Subject

_FORGED = (stripe.SignatureVerificationError, UnicodeError, TypeError)
"""The last two escape the SDK for bytes that are no text, and for a signature with letters beyond ASCII."""

TOLERANCE_S = 300
"""Age in seconds up to which a signature is believed; Stripe signs anew when it sends again."""

_SUBJECTS: Mapping[str, Subject] = {
    "payment_intent": Subject.PAYMENT,
    "charge": Subject.PAYMENT,
    "refund": Subject.REFUND,
    "dispute": Subject.DISPUTE,
    "radar.early_fraud_warning": Subject.WARNING,
}
"""By `object` of what the event holds."""


def parse(secret: str, signature: str | None, body: bytes) -> ProcessorEvent:
    """Verifies and reads an event.

    Args:
        secret: Of the account's endpoint, `whsec_…`.
        signature: The header `Stripe-Signature`.

    Raises:
        EventRejected: Forged, stale or unreadable.
    """
    _verify(secret, signature, body)
    try:
        return _read(json.loads(body))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise EventRejected("The event is not of the form that the processor documents.") from None


def _verify(secret: str, signature: str | None, body: bytes) -> None:
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_S)
    except _FORGED:
        stale = _is_genuine(secret, signature, body)
    else:
        return
    # Outside of the handler, whose error holds the whole body.
    why = "was made too long ago" if stale else "does not match"
    raise EventRejected(f"The Stripe-Signature {why}.", stale=stale)


def _is_genuine(secret: str, signature: str | None, body: bytes) -> bool:
    """Whether the signature holds but for its age."""
    try:
        stripe.WebhookSignature.verify_header(body, signature, secret, tolerance=None)
    except _FORGED:
        return False
    return True


def _read(event: Mapping[str, Any]) -> ProcessorEvent:
    if event["object"] != "event":
        raise ValueError("not an event")
    held = event["data"]["object"]
    subject = _SUBJECTS.get(str(held["object"]), Subject.OTHER)
    object_id = str(held["id"])
    payment = object_id if held["object"] == "payment_intent" else _id_of(held.get("payment_intent"))
    if subject is Subject.WARNING:  # of an older version of the API it names the charge alone
        payment = payment or _id_of(held.get("charge"))
    return ProcessorEvent(
        id=str(event["id"]),
        type=str(event["type"]),
        subject=subject,
        processor_payment_id=payment,
        processor_object_id=object_id,
        transaction_id=_uuid((held.get("metadata") or {}).get("kassa_transaction")),
        created_at=datetime.fromtimestamp(int(event["created"]), UTC),
    )


def _id_of(reference: Any) -> str:
    """The id in a reference, which Stripe may have expanded."""
    return str(reference["id"]) if isinstance(reference, Mapping) else str(reference or "")


def _uuid(text: Any) -> UUID | None:
    """Our reference; None where it is not there or was written by somebody else."""
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
