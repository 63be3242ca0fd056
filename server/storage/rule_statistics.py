"""Counts what rules did in some time. Called by `usecases.decisions`, on a thread of `engine.Reads`."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.storage.decision_reads import id_bounds
from server.storage.labels import JOIN_LABEL

# The id bounds are what the indexes of fraud_decisions are read by; created_at says it exactly.
_DECIDED = """
    fraud_decisions d JOIN payments p ON p.merchant_id = d.merchant_id AND p.id = d.payment_id {label}
    WHERE {owner} d.payment_id >= :oldest AND d.payment_id < :youngest
      AND d.created_at >= :created_after AND d.created_at < :created_before
"""
_FIRED = """
    SELECT rule, shadow, outcome, currency, count(*) AS fired, sum(amount_captured)::bigint AS captured,
        count(*) FILTER (WHERE label = 'FRAUD') AS fraud, count(*) FILTER (WHERE label = 'LEGIT') AS legit
    FROM (SELECT d.rules, d.shadow_rules, d.outcome, p.currency, p.amount_captured, known.label FROM {decided}) AS one
    CROSS JOIN LATERAL (
        SELECT jsonb_array_elements_text(one.rules) AS rule, false AS shadow
        UNION ALL SELECT jsonb_array_elements_text(one.shadow_rules), true) AS f
    GROUP BY rule, shadow, outcome, currency
"""
_TOTALS = """
    SELECT count(*) AS decisions, count(*) FILTER (WHERE known.label = 'FRAUD') AS fraud,
        count(*) FILTER (WHERE known.label = 'LEGIT') AS legit FROM {decided}
"""


@dataclass(slots=True)
class RuleCount:
    """What one rule did, live or in shadow.

    Attributes:
        outcomes: Payments it fired for, by the decision's outcome.
        captured: Minor units, by currency.
        fraud: Of these payments, those known to be fraud; `legit`: to be good.
    """

    rule: str
    shadow: bool
    outcomes: Counter[str] = field(default_factory=Counter)
    captured: Counter[str] = field(default_factory=Counter)
    fraud: int = 0
    legit: int = 0

    @property
    def fired(self) -> int:
        """For how many payments it fired."""
        return self.outcomes.total()


@dataclass(frozen=True, slots=True)
class Statistics:
    """What rules did from `created_after` on and before `created_before`; those first that fired most."""

    created_after: datetime
    created_before: datetime
    decisions: int
    fraud: int
    legit: int
    rules: tuple[RuleCount, ...]


def count_rules(
    connection: Connection, merchant_id: UUID | None, created_after: datetime, created_before: datetime
) -> Statistics:
    """Counts the decisions of a merchant, or of all; the time must be bounded by the caller."""
    owner = "" if merchant_id is None else "d.merchant_id = :merchant_id AND"
    decided = _DECIDED.format(label=JOIN_LABEL, owner=owner)
    values: dict[str, Any] = {"created_after": created_after, "created_before": created_before}
    values |= id_bounds(created_after, created_before) | ({} if merchant_id is None else {"merchant_id": merchant_id})
    totals = connection.execute(text(_TOTALS.format(decided=decided)), values).one()
    rules: dict[tuple[str, bool], RuleCount] = {}
    for row in connection.execute(text(_FIRED.format(decided=decided)), values):
        count = rules.setdefault((row.rule, row.shadow), RuleCount(row.rule, row.shadow))
        count.outcomes[row.outcome] += row.fired
        if row.captured:
            count.captured[row.currency] += row.captured
        count.fraud += row.fraud
        count.legit += row.legit
    ranked = tuple(sorted(rules.values(), key=lambda one: (-one.fired, one.rule, one.shadow)))
    return Statistics(created_after, created_before, totals.decisions, totals.fraud, totals.legit, ranked)
