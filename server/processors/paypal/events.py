"""PayPal's webhooks: verified over their raw bytes, then read for the objects they speak of. `adapter` calls.

https://developer.paypal.com/api/rest/webhooks/rest/. The signature covers only a CRC32 of the body, which protects
nothing, so nothing in the body moves money: whoever handles it reads the object from PayPal.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from server.clock import utc_now
from server.processors.contract import EventRejected, ProcessorEvent, Subject

TOLERANCE = timedelta(days=3)
"""Age up to which a signature is believed: PayPal sends again for three days, and nowhere says that it signs anew."""
_AHEAD = timedelta(minutes=5)
"""How far PayPal's clock may be ahead of ours."""

_SUBJECTS: tuple[tuple[str, Subject], ...] = (
    ("CHECKOUT.ORDER.", Subject.PAYMENT),
    ("PAYMENT.AUTHORIZATION.", Subject.PAYMENT),
    ("PAYMENT.CAPTURE.REFUNDED", Subject.REFUND),
    # Tells a lost dispute's money once more, as of a refund that nobody asked for: booked, it would count twice.
    ("PAYMENT.CAPTURE.REVERSED", Subject.OTHER),
    ("PAYMENT.CAPTURE.", Subject.PAYMENT),
    ("PAYMENT.REFUND.", Subject.REFUND),
    ("CUSTOMER.DISPUTE.", Subject.DISPUTE),
)
"""By the beginning of the event's type; the first that fits."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What the headers of a webhook say."""

    transmission_id: str
    time: str
    certificate_address: str
    value: bytes

    def message(self, webhook_id: str, body: bytes) -> bytes:
        """The bytes that PayPal signed."""
        return f"{self.transmission_id}|{self.time}|{webhook_id}|{zlib.crc32(body)}".encode()


def read_headers(headers: Mapping[str, str]) -> Signature:
    """Reads the signature's parts.

    Raises:
        EventRejected: One is missing or malformed, or the algorithm is another.
    """
    try:
        algorithm = headers["paypal-auth-algo"]
        signature = Signature(
            transmission_id=headers["paypal-transmission-id"],
            time=headers["paypal-transmission-time"],
            certificate_address=headers["paypal-cert-url"],
            value=base64.b64decode(headers["paypal-transmission-sig"], validate=True),
        )
    except KeyError as missing:
        raise EventRejected(f"The header {missing.args[0]} is missing.") from None
    except ValueError:
        raise EventRejected("The signature is not base64.") from None
    if algorithm != "SHA256withRSA":
        raise EventRejected("The signature's algorithm is not SHA256withRSA.")
    return signature


def verify(signature: Signature, key: RSAPublicKey, webhook_id: str, body: bytes) -> None:
    """Checks the signature, then its age.

    Raises:
        EventRejected: Forged or stale.
    """
    try:
        key.verify(signature.value, signature.message(webhook_id, body), PKCS1v15(), SHA256())
    except (InvalidSignature, UnicodeEncodeError):
        raise EventRejected("The signature does not match.") from None
    try:
        age = utc_now() - datetime.fromisoformat(signature.time)
    except (ValueError, TypeError):
        raise EventRejected("The transmission time cannot be read.") from None
    if not -_AHEAD <= age <= TOLERANCE:
        raise EventRejected("The signature was made too long ago.", stale=True)


def parse(body: bytes) -> ProcessorEvent:
    """Reads a verified event.

    Raises:
        EventRejected: It is not what PayPal's documentation describes.
    """
    try:
        event = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
        return _read(event)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise EventRejected("The event is not of the form that the processor documents.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a name that comes twice: two readers might take different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _read(event: Mapping[str, Any]) -> ProcessorEvent:
    kind, resource = _text(event["event_type"]), event["resource"]
    subject = next((subject for start, subject in _SUBJECTS if kind.startswith(start)), Subject.OTHER)
    created_at = datetime.fromisoformat(_text(event["create_time"]))
    if created_at.tzinfo is None:
        raise ValueError("a time without zone")
    is_order = kind.startswith("CHECKOUT.ORDER.")
    reference = resource["purchase_units"][0].get("custom_id") if is_order else resource.get("custom_id")
    return ProcessorEvent(
        id=_text(event["id"]),
        type=kind,
        subject=subject,
        processor_payment_id=_text(resource["id"]) if is_order else _payment(subject, resource),
        processor_object_id=_text(resource.get("id") or resource.get("dispute_id") or ""),
        transaction_id=_uuid(reference),
        created_at=created_at,
    )


def _payment(subject: Subject, resource: Mapping[str, Any]) -> str:
    """The order, or the capture where that is all the event tells."""
    match subject:
        case Subject.PAYMENT:
            related = (resource.get("supplementary_data") or {}).get("related_ids") or {}
            return _text(related.get("order_id") or "")
        case Subject.REFUND:
            up = [str(link["href"]) for link in resource.get("links") or [] if link.get("rel") == "up"]
            return up[0].rsplit("/", 1)[-1] if up else ""
        case Subject.DISPUTE:
            disputed = resource.get("disputed_transactions") or [{}]
            return _text(disputed[0].get("seller_transaction_id") or "")
        case Subject.WARNING | Subject.OTHER:
            return ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _uuid(text: Any) -> UUID | None:
    """Our reference; None where it is not there or was written by somebody else."""
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
