"""Disputes: how one stands, and how evidence is written. Pure; `disputes` uses it.

https://docs.stripe.com/api/disputes/object, https://docs.stripe.com/disputes/how-disputes-work
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from server.domain.dispute import DisputeReason, DisputeStanding, DisputeState, Evidence
from server.processors.stripe.currencies import our_amount
from server.processors.stripe.fees import fee

_log = logging.getLogger(__name__)

Json = dict[str, Any]

STATES: Mapping[str, DisputeState] = {
    "warning_needs_response": DisputeState.NEEDS_RESPONSE,
    "warning_under_review": DisputeState.UNDER_REVIEW,
    "warning_closed": DisputeState.CLOSED,
    "needs_response": DisputeState.NEEDS_RESPONSE,
    "under_review": DisputeState.UNDER_REVIEW,
    "appeal_needs_response": DisputeState.NEEDS_RESPONSE,
    "appeal_under_review": DisputeState.UNDER_REVIEW,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
    # Settled with the bank before it became a chargeback: https://docs.stripe.com/disputes/prevention
    "prevented": DisputeState.CLOSED,
}
_INQUIRY = "warning_"
"""How the states of an inquiry begin: https://docs.stripe.com/disputes/how-disputes-work#inquiries"""

# https://docs.stripe.com/disputes/categories
REASONS: Mapping[str, DisputeReason] = {
    "bank_cannot_process": DisputeReason.GENERAL,
    "check_returned": DisputeReason.GENERAL,
    "credit_not_processed": DisputeReason.CREDIT_NOT_PROCESSED,
    "customer_initiated": DisputeReason.GENERAL,
    "debit_not_authorized": DisputeReason.FRAUDULENT,
    "duplicate": DisputeReason.DUPLICATE,
    "fraudulent": DisputeReason.FRAUDULENT,
    "general": DisputeReason.GENERAL,
    "incorrect_account_details": DisputeReason.GENERAL,
    "insufficient_funds": DisputeReason.GENERAL,
    "noncompliant": DisputeReason.GENERAL,
    "product_not_received": DisputeReason.PRODUCT_NOT_RECEIVED,
    "product_unacceptable": DisputeReason.PRODUCT_UNACCEPTABLE,
    "subscription_canceled": DisputeReason.SUBSCRIPTION_CANCELED,
    "unrecognized": DisputeReason.UNRECOGNIZED,
}


def standing(dispute: Mapping[str, Any]) -> DisputeStanding:
    """Says how a dispute stands.

    Raises:
        KeyError, TypeError, ValueError: It is no dispute that Stripe would describe.
    """
    key, status, reason = str(dispute["id"]), str(dispute["status"]), str(dispute["reason"])
    currency = str(dispute["currency"]).upper()
    amount = our_amount(currency, dispute["amount"])
    state = _state(key, status)
    movements: list[Mapping[str, Any]] = dispute["balance_transactions"]
    fees = (fee(movement) for movement in movements)
    due_by = (dispute.get("evidence_details") or {}).get("due_by")
    return DisputeStanding(
        processor_dispute_id=key,
        processor_payment_id=_id(dispute.get("payment_intent")) or _id(dispute["charge"]),
        state=state,
        reason=_reason(key, reason),
        reason_code=reason,
        inquiry=status.startswith(_INQUIRY),
        amount=amount,
        currency=currency,
        withdrawn=_withdrawn(movements, currency, amount),
        held=0,
        fees=tuple(found for found in fees if found.amount),
        # 0 where the bank takes no evidence at all.
        respond_by=datetime.fromtimestamp(due_by, UTC) if due_by and state is DisputeState.NEEDS_RESPONSE else None,
        opened_at=datetime.fromtimestamp(int(dispute["created"]), UTC),
    )


def evidence_hash(evidence: Evidence) -> Json:
    """Writes evidence as Stripe takes it: https://docs.stripe.com/api/disputes/update

    Raises:
        ValueError: There is none.
    """
    fields = {
        "uncategorized_text": evidence.explanation,
        "product_description": evidence.product_description,
        "service_date": evidence.service_date.isoformat() if evidence.service_date else "",
        "shipping_carrier": evidence.shipping_carrier,
        "shipping_tracking_number": evidence.shipping_tracking_number,
        "shipping_date": evidence.shipping_date.isoformat() if evidence.shipping_date else "",
        "refund_policy_disclosure": evidence.refund_policy,
        "access_activity_log": evidence.access_activity_log,
    }
    told: Json = {name: value for name, value in fields.items() if value}
    if not told:
        raise ValueError("evidence that says nothing")
    return told


def _state(key: str, status: str) -> DisputeState:
    state = STATES.get(status)
    if state is None:
        _log.error("stripe dispute %s has a status that we do not know: %s", key, status)
        return DisputeState.UNDER_REVIEW
    return state


def _reason(key: str, code: str) -> DisputeReason:
    reason = REASONS.get(code)
    if reason is None:
        _log.warning("stripe dispute %s has a reason that we do not know: %s", key, code)
        return DisputeReason.GENERAL
    return reason


def _withdrawn(movements: list[Mapping[str, Any]], currency: str, amount: int) -> int:
    """Returns what was taken and not given back, minor units of the dispute's currency.

    Where the account is settled in another currency, each movement stands for the whole: their rates differ, so their
    sum would leave a rest that nobody disputes.
    """
    if all(str(movement["currency"]).upper() == currency for movement in movements):
        return max(0, -sum(our_amount(currency, movement["amount"]) for movement in movements))
    taken = sum(1 if movement["amount"] < 0 else -1 for movement in movements)
    return amount if taken > 0 else 0


def _id(reference: Any) -> str:
    """The id in a reference, which Stripe may have expanded."""
    return str(reference["id"]) if isinstance(reference, Mapping) else str(reference or "")
