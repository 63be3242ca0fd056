"""Disputes: they arrive by command, and end by acceptance or command; while one is open its amount is on hold.

https://developer.paypal.com/docs/api/customer-disputes/v1/, https://developer.paypal.com/docs/disputes/
"""

from typing import Any, Final
from urllib.parse import urlencode

from sandbox.paypal import dispute_objects, objects
from sandbox.paypal.context import Call, Context, Json, new_id, now, read_text, timestamp
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.records import Capture, Dispute, Movement, Refund

DISPUTE_FEE: Final = 1500
"""In PayPal's units of the disputed currency, for a claim that PayPal had to decide for the customer."""
VERDICTS: Final = {"won": "RESOLVED_SELLER_FAVOUR", "lost": "RESOLVED_BUYER_FAVOUR", "cancelled": "CANCELED_BY_BUYER"}
_ACCEPTED_TYPES: Final = ("REFUND", "REFUND_WITH_RETURN", "PARTIAL_REFUND", "REFUND_WITH_RETURN_SHIPMENT_LABEL")
_REASON: Final = "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"
_TAKEN: Final = ("COMPLETED", "PARTIALLY_REFUNDED")


def open_dispute(
    context: Context, capture: Capture, amount: int | None = None, reason: str = _REASON, *, inquiry: bool = False
) -> Dispute:
    """The customer opens a case: `amount`, or all that is left of the capture, is on hold from now on.

    Raises:
        PayPalError: 422, there is nothing to dispute, or a case is open already.
    """
    left = capture.amount - capture.refunded
    known = [one for one in context.books.disputes.of(capture.account) if one.capture == capture.id]
    barred = any(one.status != "RESOLVED" or one.movements for one in known)
    if capture.status not in _TAKEN or barred or (amount or 0) > left:
        raise PayPalError("DISPUTE_CANNOT_BE_OPENED")
    dispute = Dispute(
        account=capture.account,
        id=f"PP-R-{new_id()[:3]}-{new_id()[:8]}",
        created=now(),
        capture=capture.id,
        amount=amount or left,
        currency=capture.currency,
        reason=reason,
        status="OPEN" if inquiry else "WAITING_FOR_SELLER_RESPONSE",
        stage="INQUIRY" if inquiry else "CHARGEBACK",
    )
    _tell(context, dispute, "CREATED")
    return dispute


def escalate(context: Context, dispute: Dispute) -> None:
    """The customer makes a claim of an inquiry.

    Raises:
        PayPalError: 422, it is none.
    """
    if dispute.status == "RESOLVED" or dispute.stage != "INQUIRY":
        raise PayPalError("INVALID_DISPUTE_STATUS")
    dispute.stage, dispute.status = "CHARGEBACK", "WAITING_FOR_SELLER_RESPONSE"
    _tell(context, dispute, "UPDATED")


def decide(context: Context, dispute: Dispute, outcome: str, *, fee: int = 0) -> None:
    """Ends a case; the customer's money moves where it was lost or accepted.

    Raises:
        PayPalError: 422, it has ended already.
    """
    if dispute.status == "RESOLVED":
        raise PayPalError("INVALID_DISPUTE_STATUS")
    dispute.status, dispute.outcome = "RESOLVED", outcome
    lost = outcome == VERDICTS["lost"]
    if lost:
        settlement = ("DISPUTE_SETTLEMENT", dispute.amount, now())
        dispute.movements += [Movement("BUYER", "CREDIT", *settlement), Movement("SELLER", "DEBIT", *settlement)]
    if lost and fee:
        dispute.movements.append(Movement("SELLER", "DEBIT", "DISPUTE_FEE", fee, now()))
    _tell(context, dispute, "RESOLVED")
    if lost and fee:
        _tell_reversal(context, dispute)


def retrieve(context: Context, call: Call) -> Dispute:
    """GET /v1/customer/disputes/{id}"""
    return context.dispute(call.account.id, call.path["id"])


def listing(context: Context, call: Call) -> Json:
    """GET /v1/customer/disputes: newest first, a page of an account's, or those of one transaction."""
    capture, since = call.query.get("disputed_transaction_id"), call.query.get("start_time", "")
    found = [
        one
        for one in reversed(context.books.disputes.of(call.account.id))
        if capture in (None, one.capture) and timestamp(one.created) >= since
    ]
    start, size = int(call.query.get("next_page_token", "0")), int(call.query.get("page_size", "10"))
    rows = [dispute_objects.summary(context, one) for one in found[start : start + size]]
    url = f"{context.public_url}/v1/customer/disputes"
    links = [objects.link(url, "self")]
    if len(found) > start + size:
        links.append(objects.link(f"{url}?{urlencode({**call.query, 'next_page_token': start + size})}", "next"))
    # PayPal's own description allows no empty list.
    return {**({"items": rows} if rows else {}), "links": links}


def accept_claim(context: Context, call: Call) -> Dispute:
    """POST /v1/customer/disputes/{id}/accept-claim: the seller gives in, and the customer is refunded."""
    dispute = context.dispute(call.account.id, call.path["id"])
    note = call.text("note", 2000)
    if not note:
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field="/note")
    if call.body.get("accept_claim_type", "REFUND") not in _ACCEPTED_TYPES:
        raise PayPalError("INVALID_PARAMETER_VALUE", field="/accept_claim_type")
    if dispute.status not in dispute_objects.ACCEPTABLE:
        raise PayPalError("INVALID_DISPUTE_STATUS")
    dispute.notes.append(note)
    decide(context, dispute, VERDICTS["lost"])
    return dispute


def provide_evidence(context: Context, call: Call) -> Dispute:
    """POST /v1/customer/disputes/{id}/provide-evidence: PayPal reviews what the seller tells."""
    dispute = context.dispute(call.account.id, call.path["id"])
    told = call.body.get("evidences")
    if not isinstance(told, list) or not told:
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field="/evidences")
    read = [_evidence(one, f"/evidences/{index}") for index, one in enumerate(told)]
    if dispute.status != "WAITING_FOR_SELLER_RESPONSE":
        raise PayPalError("INVALID_DISPUTE_STATUS")
    dispute.evidences += read
    dispute.status = "UNDER_REVIEW"
    _tell(context, dispute, "UPDATED")
    return dispute


def _evidence(told: Any, field: str) -> Json:
    if not isinstance(told, dict):
        raise PayPalError("INVALID_PARAMETER_SYNTAX", field=field)
    if not read_text(told, "evidence_type", f"{field}/evidence_type", 255):
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field=f"{field}/evidence_type")
    read_text(told, "notes", f"{field}/notes", 2000)
    for track in (told.get("evidence_info") or {}).get("tracking_info") or []:
        named = track.get("carrier_name")
        if not named or not track.get("tracking_number") or (named == "OTHER" and not track.get("carrier_name_other")):
            raise PayPalError("MISSING_REQUIRED_PARAMETER", field=f"{field}/evidence_info/tracking_info")
    return {**told, "source": "SUBMITTED_BY_SELLER"}


def _tell(context: Context, dispute: Dispute, what: str) -> None:
    dispute.updated = now()
    context.books.disputes.put(dispute)
    rendered = dispute_objects.dispute(context, dispute)
    context.publish(dispute.account, f"CUSTOMER.DISPUTE.{what}", "dispute", rendered)


def _tell_reversal(context: Context, dispute: Dispute) -> None:
    """PayPal tells of the money of a lost claim a second time, as of the capture's reversal."""
    capture = context.capture(dispute.account, dispute.capture)
    reversal = Refund(dispute.account, new_id(), now(), capture.order, capture.id, dispute.amount, dispute.currency)
    context.publish(dispute.account, "PAYMENT.CAPTURE.REVERSED", "refund", objects.refund(context, reversal))
