"""Velocity over all merchants' payments: a table of its own, by the keyed hash of what payments share.

A payment is written there under a key only while a loaded ruleset asks for that key, so where none does it costs
nothing, and a rule's past begins when it is released, also as a shadow. Rows are only ever added, each under its own
payment's id, so no transaction waits for another. `forget` is the worker's. Called by `storage.velocity`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from server.clock import utc_now
from server.domain.payment import Payment
from server.domain.velocity import Counted, Traces, Velocity
from server.storage.engine import dumps
from server.storage.prepared import Together, prepared
from server.storage.rows import columns
from server.storage.velocity_scans import first_id_at, seconds_since, told, within

KEYS = ("card", "email", "ip", "device", "holder_name", "shipping_address")
"""By what payments are found again: what few of them share, whoever the merchant is."""
FUNCTIONS = frozenset({"count", "sum", "average", "distinct", "seconds_since_last", "first_seen"})
LONGEST = timedelta(days=30)
"""The longest window; older rows are forgotten."""
MOST = 2_000
"""Payments of one key that are looked at, the newest first; beyond them counts stand still."""
_VALUES: Mapping[str, str] = {"merchant": "merchant_id", **{key: key for key in KEYS}}
"""What `distinct` tells apart, and its column."""
_NEWEST = frozenset({"seconds_since_last", "first_seen"})
"""What the newest payment alone answers."""
_SLACK = timedelta(hours=1)
_VALUE_DIGITS = 16

_COLUMNS = ("key_hash", "payment_id", "merchant_id", "created_at", "amount", "currency", *KEYS)
_INSERT = prepared(f"""
    INSERT INTO platform_velocity ({columns(_COLUMNS)})
    SELECT {columns(_COLUMNS)} FROM jsonb_populate_recordset(NULL::platform_velocity, CAST(:rows AS jsonb))
""")
_FORGET = text("""
    DELETE FROM platform_velocity v USING (
        SELECT key_hash, payment_id FROM platform_velocity WHERE payment_id < :oldest
        ORDER BY payment_id LIMIT :size FOR UPDATE SKIP LOCKED) AS old
    WHERE v.key_hash = old.key_hash AND v.payment_id = old.payment_id
""")

Asked = tuple[Payment, Traces, tuple[Velocity, ...]]


def can_count_platform(velocity: Velocity) -> bool:
    """Says whether this module knows the words."""
    over = velocity.over in _VALUES if velocity.function == "distinct" else velocity.over == "payments"
    window = velocity.within_s is not None and velocity.within_s <= LONGEST.total_seconds()
    return velocity.platform and velocity.by in KEYS and velocity.function in FUNCTIONS and over and window


def read_platform(writes: Together, rows: Sequence[Asked]) -> dict[UUID, Counted]:
    """Writes down the batch's payments under the keys that are asked for, and returns by payment what it asks for.

    Args:
        writes: In the opening transaction.
        rows: Earlier payments of the batch count for later ones, of whichever merchant. A key that the payment lacks
            leaves its values unknown.
    """
    counted: dict[UUID, Counted] = {payment.id: {} for payment, _, _ in rows}
    made = [row for payment, traces, asked in rows for row in _rows(payment, traces, asked)]
    if made:
        writes.execute(_INSERT, {"rows": dumps(made)})
    wanted: dict[tuple[Velocity, ...], list[dict[str, object]]] = {}
    for payment, traces, velocities in rows:
        if velocities and traces.platform:
            wanted.setdefault(velocities, []).append(_question(payment, traces, velocities))
    for velocities, questions in wanted.items():
        for row in writes.read(_statement(velocities), {"rows": dumps(questions)}).mappings():
            values = ((v, row[f"v{n}"]) for n, v in enumerate(velocities))
            counted[row["id"]] = {v.name: told(v, value) for v, value in values if value is not None}
    return counted


def forget(connection: Connection, size: int) -> int:
    """Drops at most `size` rows that no window reaches any more; returns how many there were. Waits for nobody."""
    values = {"oldest": first_id_at(utc_now() - LONGEST - _SLACK), "size": size}
    return connection.execute(_FORGET, values).rowcount


def _rows(payment: Payment, traces: Traces, velocities: Sequence[Velocity]) -> list[dict[str, object]]:
    """A row for each key that the payment has and a rule asks for; the values stand in each, to be told apart."""
    asked = dict.fromkeys(velocity.by for velocity in velocities if velocity.by in traces.platform)
    if not asked:
        return []
    values = {name: int.from_bytes(bytes.fromhex(traces.platform[name][:_VALUE_DIGITS]), signed=True)
              for name in traces.platform}  # fmt: skip
    known = {"payment_id": payment.id, "merchant_id": payment.merchant_id, "created_at": payment.created_at}
    known |= {"amount": payment.amount, "currency": payment.currency}
    return [{"key_hash": rf"\x{traces.platform[by]}", **known, **values} for by in asked]


def _question(payment: Payment, traces: Traces, velocities: Sequence[Velocity]) -> dict[str, object]:
    keys = {by: rf"\x{traces.platform[by]}" for by in _by_key(velocities) if by in traces.platform}
    oldest = {f"oldest_{by}": _oldest(payment.created_at, asked) for by, asked in _by_key(velocities).items()}
    return {"id": payment.id, "created_at": payment.created_at, **keys, **oldest}


def _oldest(moment: datetime, velocities: Sequence[Velocity]) -> UUID:
    return first_id_at(moment - timedelta(seconds=max(velocity.within_s or 0 for velocity in velocities)))


def _by_key(velocities: Sequence[Velocity]) -> dict[str, list[Velocity]]:
    found: dict[str, list[Velocity]] = {}
    for velocity in velocities:
        found.setdefault(velocity.by, []).append(velocity)
    return found


@lru_cache(maxsize=16)
def _statement(velocities: tuple[Velocity, ...]) -> TextClause:
    """Builds the statement for one ruleset; every name in it is ours, every value a parameter."""
    numbers = {velocity: f"v{n}" for n, velocity in enumerate(velocities)}
    keys = _by_key(velocities)
    laterals = [_lateral(by, [(numbers[one], one) for one in asked]) for by, asked in keys.items()]
    declared = "".join(f", {by} bytea, oldest_{by} uuid" for by in keys)
    return prepared(f"""
        SELECT q.id, {", ".join(numbers.values())}
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(id uuid, created_at timestamptz{declared})
        {"".join(laterals)}
    """)


def _lateral(by: str, asked: Sequence[tuple[str, Velocity]]) -> str:
    """The key's rows as a range, which leaves the planner no index but the primary key; see `velocity_scans`."""
    most = 1 if all(velocity.function in _NEWEST for _, velocity in asked) else MOST
    distinct = {_VALUES[velocity.over] for _, velocity in asked if velocity.function == "distinct"}
    needed = dict.fromkeys(("created_at", "amount", "currency", *sorted(distinct)))
    return f"""
        LEFT JOIN LATERAL (
            WITH past AS (
                SELECT {columns(list(needed), "p")} FROM platform_velocity p
                WHERE (p.key_hash, p.payment_id) < (q.{by}, q.id)
                  AND (p.key_hash, p.payment_id) >= (q.{by}, q.oldest_{by})
                ORDER BY p.key_hash DESC, p.payment_id DESC LIMIT {most})
            SELECT {", ".join(f"{_summed_up(one)} AS {name}" for name, one in asked)} FROM past p HAVING count(*) >= 0
        ) AS by_{by} ON q.{by} IS NOT NULL"""


def _summed_up(velocity: Velocity) -> str:
    inside = within(velocity)
    if velocity.function in {"sum", "average"}:
        spent = f"""SELECT p.currency, jsonb_build_array(count(*), sum(p.amount)) AS spent
                    FROM past p WHERE {inside} GROUP BY p.currency"""
        return f"(SELECT COALESCE(jsonb_object_agg(s.currency, s.spent), '{{}}') FROM ({spent}) s)"
    if velocity.function == "distinct":
        return f"count(DISTINCT p.{_VALUES[velocity.over]}) FILTER (WHERE {inside})"
    return {
        "count": f"count(*) FILTER (WHERE {inside})",
        "first_seen": f"count(*) FILTER (WHERE {inside}) = 0",
        "seconds_since_last": seconds_since(f"max(p.created_at) FILTER (WHERE {inside})"),
    }[velocity.function]
