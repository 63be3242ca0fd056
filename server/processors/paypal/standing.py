"""Disputes: how one stands, and how evidence is written. Pure; `disputes` uses it.

https://developer.paypal.com/docs/api/customer-disputes/v1/, https://developer.paypal.com/docs/disputes/
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from server.domain.dispute import OPEN_DISPUTE_STATES, DisputeReason, DisputeStanding, DisputeState
from server.domain.fee import Fee
from server.processors.paypal.currencies import read_money

_log = logging.getLogger(__name__)

Json = dict[str, Any]
Movement = Mapping[str, Any]

STATES: Mapping[str, DisputeState] = {
    # An inquiry that buyer and seller talk about; the seller may give in.
    "OPEN": DisputeState.NEEDS_RESPONSE,
    "WAITING_FOR_SELLER_RESPONSE": DisputeState.NEEDS_RESPONSE,
    "WAITING_FOR_BUYER_RESPONSE": DisputeState.UNDER_REVIEW,
    "UNDER_REVIEW": DisputeState.UNDER_REVIEW,
}
OUTCOMES: Mapping[str, DisputeState] = {
    "RESOLVED_BUYER_FAVOUR": DisputeState.LOST,
    "RESOLVED_SELLER_FAVOUR": DisputeState.WON,
    # PayPal pays the customer itself.
    "RESOLVED_WITH_PAYOUT": DisputeState.WON,
    "CANCELED_BY_BUYER": DisputeState.CLOSED,
    "ACCEPTED": DisputeState.LOST,
    "DENIED": DisputeState.WON,
    "NONE": DisputeState.CLOSED,
}
"""How a dispute ended whose status is RESOLVED."""
REASONS: Mapping[str, DisputeReason] = {
    "MERCHANDISE_OR_SERVICE_NOT_RECEIVED": DisputeReason.PRODUCT_NOT_RECEIVED,
    "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED": DisputeReason.PRODUCT_UNACCEPTABLE,
    "UNAUTHORISED": DisputeReason.FRAUDULENT,
    "CREDIT_NOT_PROCESSED": DisputeReason.CREDIT_NOT_PROCESSED,
    "DUPLICATE_TRANSACTION": DisputeReason.DUPLICATE,
    "INCORRECT_AMOUNT": DisputeReason.INCORRECT_AMOUNT,
    "PAYMENT_BY_OTHER_MEANS": DisputeReason.DUPLICATE,
    "CANCELED_RECURRING_BILLING": DisputeReason.SUBSCRIPTION_CANCELED,
    "PROBLEM_WITH_REMITTANCE": DisputeReason.GENERAL,
    "OTHER": DisputeReason.GENERAL,
}
_FEES = frozenset({"DISPUTE_FEE", "CHARGEBACK_FEE", "DISPUTE_SETTLEMENT_FEE"})
"""Reasons of money movements that are PayPal's own; the rest is the customer's money."""


def standing(dispute: Mapping[str, Any]) -> DisputeStanding:
    """Says how a dispute stands.

    Raises:
        LookupError, TypeError, ValueError, ArithmeticError: It is no dispute that PayPal would describe.
    """
    key, reason = str(dispute["dispute_id"]), str(dispute["reason"])
    amount, currency = read_money(dispute["dispute_amount"])
    state = _state(key, dispute)
    mine = [one for one in dispute.get("money_movements") or [] if one.get("affected_party") == "SELLER"]
    withdrawn = _withdrawn(dispute, [one for one in mine if one.get("reason") not in _FEES], state)
    due = dispute.get("seller_response_due_date")
    return DisputeStanding(
        processor_dispute_id=key,
        processor_payment_id=_capture(key, dispute["disputed_transactions"]),
        state=state,
        reason=_reason(key, reason),
        reason_code=reason,
        inquiry=dispute.get("dispute_life_cycle_stage") == "INQUIRY",
        amount=amount,
        currency=currency,
        withdrawn=withdrawn,
        # What is disputed is on hold until the case is closed, an inquiry's as well.
        held=max(0, amount - withdrawn) if state in OPEN_DISPUTE_STATES else 0,
        fees=tuple(_fees(key, [one for one in mine if one.get("reason") in _FEES])),
        respond_by=datetime.fromisoformat(due) if due and state is DisputeState.NEEDS_RESPONSE else None,
        opened_at=datetime.fromisoformat(dispute["create_time"]),
    )


def _state(key: str, dispute: Mapping[str, Any]) -> DisputeState:
    status = str(dispute["status"])
    if status == "RESOLVED":
        code = str((dispute.get("dispute_outcome") or {}).get("outcome_code"))
        ended = OUTCOMES.get(code)
        if ended is None:
            _log.error("paypal dispute %s has an outcome that we do not know: %s", key, code)
        return ended or DisputeState.CLOSED
    state = STATES.get(status)
    if state is None:
        _log.error("paypal dispute %s has a status that we do not know: %s", key, status)
    return state or DisputeState.UNDER_REVIEW


def _reason(key: str, code: str) -> DisputeReason:
    reason = REASONS.get(code)
    if reason is None:
        _log.warning("paypal dispute %s has a reason that we do not know: %s", key, code)
    return reason or DisputeReason.GENERAL


def _capture(key: str, transactions: list[Mapping[str, Any]]) -> str:
    if len(transactions) != 1:
        _log.error("paypal dispute %s is about %d transactions; only the first is told", key, len(transactions))
    return str(transactions[0]["seller_transaction_id"])


def _withdrawn(dispute: Mapping[str, Any], settled: list[Movement], state: DisputeState) -> int:
    """Returns what was taken and not given back, minor units of the dispute's currency.

    Where PayPal lists no movement of the seller's money, the outcome tells. Where it moved another currency, each
    movement stands for the whole.
    """
    amount, currency = read_money(dispute["dispute_amount"])
    if not settled:
        returned = (dispute.get("dispute_outcome") or {}).get("amount_refunded")
        told, told_currency = read_money(returned) if returned else (amount, currency)
        return (told if told_currency == currency else amount) if state is DisputeState.LOST else 0
    signed = [(_signed(one, value), moved) for one in settled for value, moved in [read_money(one["amount"])]]
    if all(moved == currency for _, moved in signed):
        return max(0, sum(value for value, _ in signed))
    return amount if sum(1 if value > 0 else -1 for value, _ in signed) > 0 else 0


def _fees(key: str, charged: Iterable[Movement]) -> list[Fee]:
    """The fees; PayPal gives its movements no ids, so reason, kind and time tell them apart."""
    fees: dict[str, Fee] = {}
    for one in charged:
        value, currency = read_money(one["amount"])
        reference = f"{key}/{one['reason']}/{one['type']}/{one.get('initiated_time', '')}"
        twin = sum(known.partition("#")[0] == reference for known in fees)
        reference = f"{reference}#{twin + 1}" if twin else reference
        fees[reference] = Fee(_signed(one, value), currency, reference)
    return [fee for fee in fees.values() if fee.amount]


def _signed(movement: Movement, value: int) -> int:
    """What left the seller's account: negative where it came back."""
    kind = movement["type"]
    if kind not in ("DEBIT", "CREDIT"):
        raise ValueError(f"a movement that is neither debit nor credit: {kind}")
    return value if kind == "DEBIT" else -value
