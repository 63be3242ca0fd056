"""Counts what rules, and shadow rulesets, did. Called by `usecases.decisions`, on a thread of `engine.Reads`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.payment import FraudOutcome
from server.storage.decision_reads import id_bounds
from server.storage.labels import JOIN_LABEL

# The id bounds are what the indexes of fraud_decisions are read by; created_at says it exactly.
_DECIDED = """
    fraud_decisions d JOIN payments p ON p.merchant_id = d.merchant_id AND p.id = d.payment_id {label} {each}
    WHERE {owner} d.payment_id >= :oldest AND d.payment_id < :youngest
      AND d.created_at >= :created_after AND d.created_at < :created_before
"""
_FIRED = """
    SELECT rule, shadow, snoozed, outcome, currency, count(*) AS fired, sum(amount_captured)::bigint AS captured,
        count(*) FILTER (WHERE label = 'FRAUD') AS fraud, count(*) FILTER (WHERE label = 'LEGIT') AS legit
    FROM (SELECT d.rules, d.shadow_rules, d.snoozed_rules, d.outcome, p.currency, p.amount_captured, known.label
          FROM {decided}) AS one
    CROSS JOIN LATERAL (
        SELECT jsonb_array_elements_text(one.rules) AS rule, false AS shadow, false AS snoozed
        UNION ALL SELECT jsonb_array_elements_text(one.shadow_rules), true, false
        UNION ALL SELECT jsonb_array_elements_text(one.snoozed_rules), false, true) AS f
    GROUP BY rule, shadow, snoozed, outcome, currency
"""
# A shadow ruleset's outcomes are its own; what it differs from is what the payment's life followed.
_SHADOWS = """
    SELECT s.shadow->>'ruleset' AS ruleset, s.shadow->>'outcome' AS outcome,
        s.shadow->>'outcome' <> d.outcome AS differs, count(*) AS decisions,
        count(*) FILTER (WHERE known.label = 'FRAUD') AS fraud,
        count(*) FILTER (WHERE known.label = 'LEGIT') AS legit
    FROM {decided}
"""
_SHADOW_RULES = """
    SELECT s.shadow->>'ruleset' AS ruleset, f.rule, true AS shadow, false AS snoozed,
        s.shadow->>'outcome' AS outcome, p.currency, count(*) AS fired,
        sum(p.amount_captured)::bigint AS captured,
        count(*) FILTER (WHERE known.label = 'FRAUD') AS fraud, count(*) FILTER (WHERE known.label = 'LEGIT') AS legit
    FROM {decided}
"""
_EACH_SHADOW = "CROSS JOIN LATERAL jsonb_array_elements(d.shadows) AS s(shadow)"
_EACH_SHADOW_RULE = f"{_EACH_SHADOW} CROSS JOIN LATERAL jsonb_array_elements_text(s.shadow->'rules') AS f(rule)"
_TOTALS = """
    SELECT count(*) AS decisions, count(*) FILTER (WHERE known.label = 'FRAUD') AS fraud,
        count(*) FILTER (WHERE known.label = 'LEGIT') AS legit FROM {decided}
"""


@dataclass(slots=True)
class RuleCount:
    """What one rule did, live, in shadow or while it was snoozed.

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
    snoozed: bool = False

    @property
    def fired(self) -> int:
        """For how many payments it fired."""
        return self.outcomes.total()


@dataclass(slots=True)
class ShadowCount:
    """What one whole ruleset in shadow would have done.

    Attributes:
        ruleset: Its content hash.
        outcomes: Payments it looked at, by its own outcome.
        differing: Of these payments, those that were decided otherwise.
        fraud: Of these payments, those known to be fraud; `legit`: to be good. So of those it would have blocked.
        rules: Its rules that would have fired, those first that fired most, by its own outcomes.
    """

    ruleset: str
    outcomes: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    fraud: int = 0
    legit: int = 0
    blocked_fraud: int = 0
    blocked_legit: int = 0
    rules: tuple[RuleCount, ...] = ()

    @property
    def decisions(self) -> int:
        """How many payments it looked at."""
        return self.outcomes.total()


@dataclass(frozen=True, slots=True)
class Statistics:
    """What rules did from `created_after` on and before `created_before`; those first that fired most.

    `rules` are those of the rulesets that decided; whole rulesets in shadow stand in `shadows`.
    """

    created_after: datetime
    created_before: datetime
    decisions: int
    fraud: int
    legit: int
    rules: tuple[RuleCount, ...]
    shadows: tuple[ShadowCount, ...] = ()


def count_rules(
    connection: Connection, merchant_id: UUID | None, created_after: datetime, created_before: datetime
) -> Statistics:
    """Counts the decisions of a merchant, or of all; the time must be bounded by the caller."""
    owner = "" if merchant_id is None else "d.merchant_id = :merchant_id AND"
    values: dict[str, Any] = {"created_after": created_after, "created_before": created_before}
    values |= id_bounds(created_after, created_before) | ({} if merchant_id is None else {"merchant_id": merchant_id})

    def ask(statement: str, each: str = "", group: str = "") -> Sequence[Any]:
        decided = _DECIDED.format(label=JOIN_LABEL, owner=owner, each=each)
        return connection.execute(text(statement.format(decided=decided) + group), values).all()

    (totals,) = ask(_TOTALS)
    rules = _ranked(ask(_FIRED))
    shadows = _shadows(ask(_SHADOWS, _EACH_SHADOW, "GROUP BY 1, 2, 3"))
    if shadows:
        fired = ask(_SHADOW_RULES, _EACH_SHADOW_RULE, "GROUP BY 1, 2, 5, 6")
        for shadow in shadows:
            shadow.rules = _ranked([row for row in fired if row.ruleset == shadow.ruleset])
    return Statistics(created_after, created_before, totals.decisions, totals.fraud, totals.legit, rules, shadows)


def _ranked(rows: Iterable[Any]) -> tuple[RuleCount, ...]:
    rules: dict[tuple[str, bool, bool], RuleCount] = {}
    for row in rows:
        key = (row.rule, row.shadow, row.snoozed)
        count = rules.setdefault(key, RuleCount(row.rule, row.shadow, snoozed=row.snoozed))
        count.outcomes[row.outcome] += row.fired
        if row.captured:
            count.captured[row.currency] += row.captured
        count.fraud += row.fraud
        count.legit += row.legit
    return tuple(sorted(rules.values(), key=lambda one: (-one.fired, one.rule, one.shadow, one.snoozed)))


def _shadows(rows: Iterable[Any]) -> tuple[ShadowCount, ...]:
    shadows: dict[str, ShadowCount] = {}
    for row in rows:
        count = shadows.setdefault(row.ruleset, ShadowCount(row.ruleset))
        count.outcomes[row.outcome] += row.decisions
        count.differing += row.decisions if row.differs else 0
        count.fraud += row.fraud
        count.legit += row.legit
        if row.outcome == FraudOutcome.BLOCK:
            count.blocked_fraud += row.fraud
            count.blocked_legit += row.legit
    return tuple(sorted(shadows.values(), key=lambda one: (-one.decisions, one.ruleset)))
