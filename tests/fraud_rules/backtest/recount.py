"""What velocity facts mean, said plainly: every earlier payment is looked at again for each. Slow and obvious."""

from collections.abc import Sequence

from fraud_rules.backtest.payments import SECOND, Payment
from fraud_rules.facts import Value
from fraud_rules.rates import Rates
from fraud_rules.velocity import Function, VelocityFact


def recount(fact: VelocityFact, earlier: Sequence[Payment], payment: Payment, rates: Rates) -> Value | None:
    """Returns the fact's value for a payment, None where it is unknown."""
    mine = _key(fact, payment)
    if mine is None:
        return None
    past = [one for one in earlier if _within(fact, one, payment) and _key(fact, one) == mine]
    match fact.function:
        case Function.DISTINCT:
            told = [one.facts | {"merchant": one.merchant} for one in past]
            return len({facts[fact.over] for facts in told if fact.over in facts})
        case Function.LAST:
            said = [one.said[fact.over] for one in past if one.said and fact.over in one.said]
            return said[-1] if said else None
        case _:
            return _counted(fact, [one for one in past if _happened(fact.over, one, payment.at)], payment, rates)


def _counted(fact: VelocityFact, past: Sequence[Payment], payment: Payment, rates: Rates) -> Value | None:
    match fact.function:
        case Function.COUNT:
            return len(past)
        case Function.FIRST_SEEN:
            return not past
        case Function.SECONDS_SINCE_LAST:
            return (payment.at - max(one.at for one in past)) // SECOND if past else None
        case Function.SECONDS_SINCE_FIRST:
            return (payment.at - min(one.at for one in past)) // SECOND if past else None
        case _:
            return _money(fact, past, rates)


def _money(fact: VelocityFact, past: Sequence[Payment], rates: Rates) -> int | None:
    sums: dict[str, int] = {}
    for one in past:
        sums[one.currency] = sums.get(one.currency, 0) + (one.refunded if fact.over == "refunds" else one.amount)
    cents = [rates.to_usd_cents(amount, currency) for currency, amount in sums.items()]
    known = [one for one in cents if one is not None]
    if len(known) < len(cents):
        return None
    if fact.function is Function.SUM:
        return sum(known)
    return (2 * sum(known) + len(past)) // (2 * len(past)) if past else None


def _key(fact: VelocityFact, payment: Payment) -> tuple[str, Value] | None:
    value = payment.merchant if fact.by == "merchant" else payment.facts.get(fact.by)
    return None if value is None else (payment.world if fact.platform else payment.merchant, value)


def _within(fact: VelocityFact, one: Payment, payment: Payment) -> bool:
    return fact.within_seconds is None or one.at > payment.at - fact.within_seconds * SECOND


def _happened(over: str, one: Payment, now: int) -> bool:
    moments = {"refunds": one.refunded_at, "disputes": one.disputed_at, "early_fraud_warnings": one.warned_at}
    if over in moments:
        moment = moments[over]
        return moment is not None and moment <= now
    return {"payments": True, "approvals": one.approved, "declines": one.declined, "blocks": one.blocked}[over]
