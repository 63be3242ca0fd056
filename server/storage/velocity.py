"""Counts what rules ask for: one indexed range scan per dimension, all windows at once, a whole batch a statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from server.domain.payment import Payment
from server.domain.velocity import Velocity
from server.storage.engine import dumps

DIMENSIONS: Mapping[str, str] = {
    "customer": "customer_id",
    "card": "card_fingerprint",
    "email": "customer_email",
    "ip": "customer_ip",
    "device": "customer_device_id",
}
"""By what payments can be counted, and the column that holds it; each has an index."""

_CONDITIONS: Mapping[str, str] = {
    "payments": "true",
    "approvals": "p.state IN ('AUTHORIZED', 'COMPLETED', 'REFUNDED', 'IN_REVIEW')",
    "declines": "p.state = 'FAILED' AND p.failure->>'code' NOT IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE')",
    "blocks": "p.state = 'FAILED' AND p.failure->>'code' = 'FRAUD_BLOCKED'",
    "refunds": "p.amount_refunded > 0",
}
_VALUES: Mapping[str, str] = {
    "amount": "p.amount",
    **{name: f"NULLIF(p.{column}, '')" for name, column in DIMENSIONS.items()},
}
_EPOCH_MS_BITS = 80  # a UUIDv7 begins with 48 bits of milliseconds since 1970: RFC 9562, 5.7


def servable(velocity: Velocity) -> bool:
    """Says whether this storage can count what a rule asks for."""
    if velocity.by not in DIMENSIONS:
        return False
    return velocity.over in (_CONDITIONS if velocity.function == "count" else _VALUES)


def read_velocity(
    connection: Connection, rows: Sequence[tuple[Payment, str, tuple[Velocity, ...]]]
) -> dict[UUID, dict[str, int]]:
    """Returns by payment what its ruleset asks for, counting the merchant's payments that are older than it.

    Args:
        connection: In the opening transaction, after the batch's payments were inserted.
        rows: Payment, card fingerprint, and the numbers wanted. A dimension that the payment lacks stays unknown.
    """
    counted: dict[UUID, dict[str, int]] = {payment.id: {} for payment, _, _ in rows}
    wanted: dict[tuple[Velocity, ...], list[dict[str, object]]] = {}
    for payment, fingerprint, velocities in rows:
        if velocities:
            wanted.setdefault(velocities, []).append(_question(payment, fingerprint, velocities))
    for velocities, questions in wanted.items():  # one group, but for the moment when a ruleset is swapped
        result = connection.execute(_statement(velocities), {"rows": dumps(questions)})
        for row in result.mappings():
            found = {v.name: row[f"v{n}"] for n, v in enumerate(velocities) if row[f"v{n}"] is not None}
            counted[row["id"]] = {name: int(value) for name, value in found.items()}
    return counted


def _question(payment: Payment, fingerprint: str, velocities: tuple[Velocity, ...]) -> dict[str, object]:
    window = timedelta(seconds=max(velocity.within_s for velocity in velocities))
    return {
        "merchant_id": payment.merchant_id,
        "id": payment.id,
        "oldest": _first_id_at(payment.created_at - window),
        "created_at": payment.created_at,
        "currency": payment.currency,
        "customer_id": payment.customer.id,
        "card_fingerprint": fingerprint,
        "customer_email": payment.customer.email,
        "customer_ip": payment.customer.ip,
        "customer_device_id": payment.customer.device_id,
    }


def _first_id_at(moment: datetime) -> UUID:
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << _EPOCH_MS_BITS)


@lru_cache(maxsize=16)
def _statement(velocities: tuple[Velocity, ...]) -> TextClause:
    """Builds the statement for one ruleset; every name in it is ours, every value a parameter."""
    selected, laterals = [], []
    for dimension in dict.fromkeys(velocity.by for velocity in velocities):
        asked = [(n, v) for n, v in enumerate(velocities) if v.by == dimension]
        selected += [f"{dimension}.v{n}" for n, _ in asked]
        column = DIMENSIONS[dimension]
        numbers = ", ".join(f"{_aggregate(velocity)} AS v{n}" for n, velocity in asked)
        laterals.append(f"""
            LEFT JOIN LATERAL (
                SELECT {numbers} FROM payments p
                WHERE p.merchant_id = q.merchant_id AND p.{column} = q.{column} AND p.{column} <> ''
                  AND p.id < q.id AND p.id >= q.oldest
            ) {dimension} ON q.{column} <> ''""")
    return text(f"""
        SELECT q.id, {", ".join(selected)}
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(
            merchant_id uuid, id uuid, oldest uuid, created_at timestamptz, currency text, customer_id text,
            card_fingerprint text, customer_email text, customer_ip text, customer_device_id text)
        {"".join(laterals)}
    """)


def _aggregate(velocity: Velocity) -> str:
    within = f"p.created_at > q.created_at - interval '{int(velocity.within_s)} seconds'"
    if velocity.function == "count":
        return f"count(*) FILTER (WHERE {within} AND {_CONDITIONS[velocity.over]})"
    if velocity.function == "sum":
        # Only the payment's own currency: minor units of two currencies do not add up.
        return f"COALESCE(sum({_VALUES[velocity.over]}) FILTER (WHERE {within} AND p.currency = q.currency), 0)"
    return f"count(DISTINCT {_VALUES[velocity.over]}) FILTER (WHERE {within})"
