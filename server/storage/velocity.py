"""Counts what rules ask for: one indexed range scan per dimension, all windows at once, a whole batch a statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from server.domain.payment import Payment
from server.domain.velocity import Counted, Velocity
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
    "declines": "p.state = 'FAILED' AND p.failure->>'code' NOT IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE')",
    "disputes": "p.amount_disputed > 0",
    "refunds": "p.amount_refunded > 0",
}
_COUNTRIES = {f"{kind}_country": f"NULLIF(p.{kind}_address->>'country', '')" for kind in ("billing", "shipping")}
_VALUES: Mapping[str, str] = {name: f"NULLIF(p.{column}, '')" for name, column in DIMENSIONS.items()} | _COUNTRIES
_SUMMED: Mapping[str, str] = {name: "p.amount" for name in _CONDITIONS} | {"refunds": "p.amount_refunded"}
_FIRST = UUID(int=0)
_EPOCH_MS_BITS = 80  # a UUIDv7 begins with 48 bits of milliseconds since 1970: RFC 9562, 5.7


def servable(velocity: Velocity) -> bool:
    """Says whether this storage can count what a rule asks for."""
    if velocity.by not in DIMENSIONS:
        return False
    return velocity.over in (_VALUES if velocity.function == "distinct" else _CONDITIONS)


def read_velocity(
    connection: Connection, rows: Sequence[tuple[Payment, str, tuple[Velocity, ...]]]
) -> dict[UUID, Counted]:
    """Returns by payment what its ruleset asks for, counting the merchant's payments that are older than it.

    Args:
        connection: In the opening transaction, after the batch's payments were inserted.
        rows: Payment, card fingerprint, and the numbers wanted. A dimension that the payment lacks stays unknown.
    """
    counted: dict[UUID, Counted] = {payment.id: {} for payment, _, _ in rows}
    wanted: dict[tuple[Velocity, ...], list[dict[str, object]]] = {}
    for payment, fingerprint, velocities in rows:
        if velocities:
            wanted.setdefault(velocities, []).append(_question(payment, fingerprint, velocities))
    for velocities, questions in wanted.items():  # one group, but for the moment when a ruleset is swapped
        result = connection.execute(_statement(velocities), {"rows": dumps(questions)})
        for row in result.mappings():
            counted[row["id"]] = {v.name: row[f"v{n}"] for n, v in enumerate(velocities) if row[f"v{n}"] is not None}
    return counted


def _question(payment: Payment, fingerprint: str, velocities: tuple[Velocity, ...]) -> dict[str, object]:
    windows = [velocity.within_s for velocity in velocities]
    longest = None if None in windows else timedelta(seconds=max(one for one in windows if one is not None))
    return {
        "merchant_id": payment.merchant_id,
        "id": payment.id,
        "oldest": _FIRST if longest is None else _first_id_at(payment.created_at - longest),
        "created_at": payment.created_at,
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
        numbers = [f"{_number(v)} AS v{n}" for n, v in asked if v.function != "sum"]
        if numbers:
            laterals.append(_lateral(dimension, dimension, f"SELECT {', '.join(numbers)} FROM payments p", ""))
        for n, velocity in asked:
            if velocity.function == "sum":
                laterals.append(_sum(velocity, n))
        selected += [f"v{n}" for n, _ in asked]
    return text(f"""
        SELECT q.id, {", ".join(selected)}
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(
            merchant_id uuid, id uuid, oldest uuid, created_at timestamptz, customer_id text,
            card_fingerprint text, customer_email text, customer_ip text, customer_device_id text)
        {"".join(laterals)}
    """)


def _lateral(name: str, dimension: str, head: str, tail: str) -> str:
    column = DIMENSIONS[dimension]
    return f"""
        LEFT JOIN LATERAL (
            {head}
            WHERE p.merchant_id = q.merchant_id AND p.{column} = q.{column} AND p.{column} <> ''
              AND p.id < q.id AND p.id >= q.oldest {tail}
        ) {name} ON q.{column} <> ''"""


def _number(velocity: Velocity) -> str:
    within = _within(velocity)
    if velocity.function == "count":
        return f"count(*) FILTER (WHERE {within} AND {_CONDITIONS[velocity.over]})"
    return f"count(DISTINCT {_VALUES[velocity.over]}) FILTER (WHERE {within})"


def _sum(velocity: Velocity, number: int) -> str:
    """Sums by currency, since minor units of two currencies do not add up."""
    wanted = f"{_within(velocity)} AND {_CONDITIONS[velocity.over]}"
    head = f"""SELECT COALESCE(jsonb_object_agg(s.currency, s.total), '{{}}'::jsonb) AS v{number} FROM (
                SELECT p.currency, sum({_SUMMED[velocity.over]})::bigint AS total FROM payments p"""
    return _lateral(f"sum{number}", velocity.by, head, f"AND {wanted} GROUP BY p.currency) s")


def _within(velocity: Velocity) -> str:
    if velocity.within_s is None:
        return "true"
    return f"p.created_at > q.created_at - interval '{int(velocity.within_s)} seconds'"
