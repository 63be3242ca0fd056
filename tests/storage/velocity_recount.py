"""Velocity told a second time, in plain Python over a list of payments: what the tests hold storage against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from server.domain.payment import Payment, State
from server.domain.velocity import Counted, Spent, Traces, Velocity

BUCKET_S = 10
UNASKED = {"FRAUD_BLOCKED", "REVIEW_NOT_POSSIBLE", "PROCESSOR_UNAVAILABLE", "PROCESSOR_REJECTED", "NOT_SUBMITTED"}


@dataclass(frozen=True)
class Past:
    """One earlier payment as it stands now."""

    payment: Payment
    traces: Traces


def _code(past: Past) -> str:
    failure = past.payment.failure
    return failure.code.value if past.payment.state is State.FAILED and failure else ""


MEANT: Mapping[str, Callable[[Past], bool]] = {
    "payments": lambda past: True,
    "approvals": lambda past: past.payment.amount_authorized > 0,
    "declines": lambda past: bool(_code(past)) and _code(past) not in UNASKED,
    "blocks": lambda past: _code(past) in {"FRAUD_BLOCKED", "REVIEW_NOT_POSSIBLE"},
    "refunds": lambda past: past.payment.amount_refunded > 0,
    "disputes": lambda past: past.payment.amount_disputed > 0,
    "early_fraud_warnings": lambda past: past.payment.early_fraud_warning,
}


def value_of(word: str, past: Past) -> Any:
    """The payment's value of a fact; empty or None where it has none."""
    payment, traces = past.payment, past.traces
    return {
        "merchant": "the same for all",
        "customer": payment.customer.id,
        "card": traces.card_fingerprint,
        "email": payment.customer.email.lower(),
        "email_domain": traces.email_domain,
        "ip": payment.customer.ip,
        "device": payment.customer.device_id,
        "bin": traces.card_bin,
        "holder_name": traces.holder_hash,
        "shipping_address": traces.shipping_key,
        "amount": (payment.amount, payment.currency),
        "billing_country": payment.billing_address.country,
        "shipping_country": payment.shipping_address.country,
    }[word]


def _said(word: str, past: Past) -> str | None:
    if word == "decline_code":
        failure = past.payment.failure
        return failure.decline_code.lower() if MEANT["declines"](past) and failure and failure.decline_code else None
    return past.payment.processor_checks.get(word)


def recount(velocity: Velocity, now: Past, earlier: Sequence[Past], *, buckets: bool = False) -> Counted:
    """What `velocity` is for a payment; empty where it is unknown.

    Args:
        earlier: The merchant's payments that are older, the oldest first.
        buckets: Told as the counters do, to the ten seconds in which each was made.
    """
    mine = value_of(velocity.by, now)
    if not mine:
        return {}
    moment = _begin(now.payment.created_at) if buckets else now.payment.created_at
    made = [(_begin(one.payment.created_at) if buckets else one.payment.created_at, one) for one in earlier]
    since = None if velocity.within_s is None else moment - timedelta(seconds=velocity.within_s)
    if buckets and since is not None:
        since -= timedelta(seconds=BUCKET_S)
    within = [(at, one) for at, one in made if value_of(velocity.by, one) == mine and (since is None or at > since)]
    found = _summed_up(velocity, moment, within)
    return {} if found is None else {velocity.name: found}


def _begin(moment: datetime) -> datetime:
    return datetime.fromtimestamp(int(moment.timestamp()) // BUCKET_S * BUCKET_S, moment.tzinfo)


def _summed_up(velocity: Velocity, moment: datetime, within: Sequence[tuple[datetime, Past]]) -> Any:
    payments = [one for _, one in within]
    meant = [(at, one) for at, one in within if MEANT.get(velocity.over, MEANT["payments"])(one)]
    ages = [int((moment - at).total_seconds()) for at, _ in meant]
    spent = _spent(velocity.over, [one.payment for _, one in meant])
    said = [_said(velocity.over, one) for one in payments] if velocity.function == "last" else []
    return {
        "distinct": lambda: len({value_of(velocity.over, one) for one in payments} - {"", None}),
        "last": lambda: next((one for one in reversed(said) if one is not None), None),
        "count": lambda: len(meant),
        "first_seen": lambda: not meant,
        "seconds_since_last": lambda: min(ages, default=None),
        "seconds_since_first": lambda: max(ages, default=None),
        "sum": lambda: spent,
        "average": lambda: spent,
    }[velocity.function]()


def _spent(over: str, payments: Sequence[Payment]) -> dict[str, Spent]:
    found: dict[str, Spent] = {}
    for one in payments:
        before = found.get(one.currency, Spent(0, 0))
        amount = one.amount_refunded if over == "refunds" else one.amount
        found[one.currency] = Spent(before.payments + 1, before.amount + amount)
    return found
