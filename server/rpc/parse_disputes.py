"""Dispute requests from the wire, checked and turned into what use cases take. Called by `rpc.dispute_service`."""

from datetime import date

from kassa.v1 import dispute_service_pb2 as pb

from server.domain.card import holds_card_number
from server.domain.dispute import DisputeState, Evidence
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id
from server.rpc import fields
from server.rpc.vocabulary import take_optional, to_wire
from server.storage.disputes import DisputeFilter

_STATES = {wire: domain for domain, wire in to_wire(DisputeState, pb.Dispute.State).items()}

# Stripe's longest text, which PayPal's adapter cuts into notes, and PayPal's longest name:
# https://docs.stripe.com/api/disputes/evidence_object, https://developer.paypal.com/docs/api/customer-disputes/v1/
_MAX_TEXT, _MAX_NAME = 20_000, 255


def parse_dispute_filter(request: pb.ListDisputesRequest) -> DisputeFilter:
    """Reads the filters of a ListDisputes.

    Raises:
        InvalidField: The first field that is wrong.
    """
    return DisputeFilter(
        state=take_optional(_STATES, request.state, "state"),
        payment_id=parse_id(Prefix.PAYMENT, request.payment_id, "payment_id") if request.payment_id else None,
        respond_before=fields.instant(request.respond_before, "respond_before")
        if request.HasField("respond_before")
        else None,
    )


def parse_evidence(given: pb.DisputeEvidence) -> Evidence:
    """Reads evidence.

    Raises:
        InvalidField: The first field that is wrong, holds what looks like a card number, or that all are empty.
    """
    evidence = Evidence(
        explanation=_text(given.explanation, "explanation", _MAX_TEXT),
        product_description=_text(given.product_description, "product_description", _MAX_TEXT),
        service_date=_day(given.service_date, "service_date"),
        shipping_carrier=_text(given.shipping_carrier, "shipping_carrier", _MAX_NAME),
        shipping_tracking_number=_text(given.shipping_tracking_number, "shipping_tracking_number", _MAX_NAME),
        shipping_date=_day(given.shipping_date, "shipping_date"),
        refund_policy=_text(given.refund_policy, "refund_policy", _MAX_TEXT),
        access_activity_log=_text(given.access_activity_log, "access_activity_log", _MAX_TEXT),
    )
    if evidence == Evidence():
        raise InvalidField("evidence", "must say something: at least one of its fields is required")
    return evidence


def _text(value: str, name: str, longest: int) -> str:
    """Takes text that is stored and sent as it comes; blanks alone say nothing."""
    field = f"evidence.{name}"
    text = fields.text(value, field, longest=longest).strip()
    if holds_card_number(text):
        raise InvalidField(field, "must not contain a card number")
    return text


def _day(value: str, name: str) -> date | None:
    if not value:
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:  # `fromisoformat` takes weeks and days of the year, too
        raise InvalidField(f"evidence.{name}", "must be a day, such as 2030-01-31")
    return day
