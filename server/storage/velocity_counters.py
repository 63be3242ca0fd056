"""Velocity by keys that many payments share, a merchant's own, a BIN's, a mail domain's: from counters, not payments.

Triggers keep them (revision 0004): a payment counts in the ten seconds in which it was made, as it stands now. `fold`
makes old buckets wider, so a window begins up to one bucket early: ten seconds for what is younger than ten minutes,
a minute within six hours, an hour within six days, else a day. Called by `storage.velocity`, `fold` by the worker.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from server.domain.payment import Payment
from server.domain.velocity import Counted, Spent, Traces, Velocity
from server.storage.engine import dumps
from server.storage.prepared import prepared, read
from server.storage.velocity_batch import Older

BUCKET_S = 10
"""Seconds of the bucket that a payment is first counted in."""
WIDTHS: Sequence[tuple[int, int, int]] = (
    (BUCKET_S, 60, 600),
    (60, 3_600, 6 * 3_600),
    (3_600, 86_400, 6 * 86_400),
    (86_400, 30 * 86_400, 92 * 86_400),
)
"""What is folded: buckets of a width into ones of another, once those have ended so many seconds ago."""
DIMENSIONS = ("merchant", "bin", "email_domain")
FUNCTIONS = frozenset({"count", "sum", "average", "seconds_since_last", "seconds_since_first", "first_seen"})
OVER = ("payments", "approvals", "declines", "blocks", "refunds", "disputes", "early_fraud_warnings")
_WIDEST_OF_A_WINDOW_S = 86_400

Asked = tuple[Payment, Traces, tuple[Velocity, ...]]
_Key = tuple[UUID, str, int]
"""Merchant, value, and the start of the bucket in which the question is asked."""

_SUMS = ", ".join(f"{kind}, {kind}_amount" for kind in OVER)
_ADDED = ", ".join(f"{name} = c.{name} + EXCLUDED.{name}" for kind in OVER for name in (kind, f"{kind}_amount"))
_KEY = "merchant_id, dimension, value, start_s, width_s, currency, slot"
# It waits for nobody, and nobody but another fold writes wide buckets, so it cannot deadlock with those who count.
_FOLD = text(f"""
    WITH old AS (
        SELECT {_KEY} FROM velocity_counters
        WHERE width_s = :narrow AND start_s < (extract(epoch FROM now())::bigint - :age) / :wide * :wide
        ORDER BY start_s LIMIT :size FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM velocity_counters c USING old WHERE ({", ".join(f"c.{name}" for name in _KEY.split(", "))})
            = ({", ".join(f"old.{name}" for name in _KEY.split(", "))})
        RETURNING c.*
    ), folded AS (
        INSERT INTO velocity_counters AS c ({_KEY}, {_SUMS})
        SELECT merchant_id, dimension, value, start_s / :wide * :wide, :wide, currency, 0,
               {", ".join(f"sum({name})" for name in _SUMS.split(", "))}
        FROM gone GROUP BY 1, 2, 3, 4, currency ORDER BY 1, 2, 3, 4, currency
        ON CONFLICT ({_KEY}) DO UPDATE SET {_ADDED}
    )
    SELECT count(*) FROM gone
""")
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('kassa.fold_counters'))")


def is_counter(velocity: Velocity) -> bool:
    """Says whether counters answer the question."""
    return velocity.by in DIMENSIONS and velocity.function in FUNCTIONS and velocity.over in OVER


def read_counters(connection: Connection, rows: Sequence[Asked]) -> dict[UUID, Counted]:
    """Returns by payment what it asks for; older payments of the batch are added to what the counters say.

    Args:
        connection: Before the batch's payments are inserted.
        rows: The batch, the oldest first.
    """
    counted: dict[UUID, dict[str, Any]] = {payment.id: {} for payment, _, _ in rows}
    for dimension in DIMENSIONS:
        asked = [(p, _value_of(dimension, t), tuple(v for v in vs if v.by == dimension)) for p, t, vs in rows]
        if any(velocities for _, value, velocities in asked if value is not None):
            _read_dimension(connection, dimension, asked, counted)
    return dict(counted)


def fold(connection: Connection, size: int) -> int:
    """Makes at most `size` narrow old buckets of each width part of wide ones; returns how many there were."""
    if not connection.scalar(_ALONE):
        return 0
    values = ({"narrow": narrow, "wide": wide, "age": age, "size": size} for narrow, wide, age in WIDTHS)
    return sum(int(connection.scalar(_FOLD, one) or 0) for one in values)


def _value_of(dimension: str, traces: Traces) -> str | None:
    """The payment's value; None where it has none."""
    return {"merchant": "", "bin": traces.card_bin or None, "email_domain": traces.email_domain or None}[dimension]


def _read_dimension(
    connection: Connection,
    dimension: str,
    rows: Sequence[tuple[Payment, str | None, tuple[Velocity, ...]]],
    counted: Mapping[UUID, dict[str, Any]],
) -> None:
    older = Older()
    found: dict[tuple[Velocity, ...], dict[_Key, Mapping[str, Any]]] = {}
    for velocities in dict.fromkeys(vs for _, value, vs in rows if vs and value is not None):
        keys = [_key(payment, value) for payment, value, vs in rows if vs == velocities and value is not None]
        found[velocities] = _ask(connection, dimension, velocities, dict.fromkeys(keys))
    for payment, value, velocities in rows:
        if value is None:
            continue
        if velocities:
            row = found[velocities][_key(payment, value)]
            told = ((v, _told(v, row[f"v{n}"])) for n, v in enumerate(velocities))
            before = older.of(payment, value)
            values = ((v.name, before.added(v, known)) for v, known in told)
            counted[payment.id].update({name: number for name, number in values if number is not None})
        older.add(payment, value)


def _key(payment: Payment, value: str) -> _Key:
    return payment.merchant_id, value, int(payment.created_at.timestamp()) // BUCKET_S * BUCKET_S


def _told(velocity: Velocity, value: Any) -> Any:
    if velocity.function in {"sum", "average"}:
        return {currency: Spent(*numbers) for currency, numbers in value.items()}
    return value


def _ask(
    connection: Connection, dimension: str, velocities: tuple[Velocity, ...], keys: Iterable[_Key]
) -> dict[_Key, Mapping[str, Any]]:
    """Reads each key once, however many payments of the batch share it."""
    listed = list(keys)
    rows = [{"n": n, "merchant_id": key[0], "value": key[1], "at_s": key[2]} for n, key in enumerate(listed)]
    found = read(connection, _statement(dimension, velocities), {"rows": dumps(rows)})
    return {listed[row["n"]]: row for row in found.mappings()}


@lru_cache(maxsize=32)
def _statement(dimension: str, velocities: tuple[Velocity, ...]) -> TextClause:
    windows = [velocity.within_s for velocity in velocities]
    longest = None if None in windows else max(one for one in windows if one is not None)
    since = "" if longest is None else f"AND c.start_s > q.at_s - {longest + _WIDEST_OF_A_WINDOW_S}"
    kinds = dict.fromkeys(velocity.over for velocity in velocities)
    needed = ", ".join(f"c.{kind}, c.{kind}_amount" for kind in kinds)
    return prepared(f"""
        SELECT q.n, past.* FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(
            n integer, merchant_id uuid, value text, at_s bigint)
        CROSS JOIN LATERAL (
            WITH past AS MATERIALIZED (
                SELECT c.start_s, c.start_s + c.width_s AS end_s, c.currency, {needed} FROM velocity_counters c
                WHERE c.merchant_id = q.merchant_id AND c.dimension = '{dimension}' AND c.value = q.value {since})
            SELECT {", ".join(f"{_number(v)} AS v{n}" for n, v in enumerate(velocities))} FROM past p
            HAVING count(*) >= 0
        ) AS past
    """)


def _number(velocity: Velocity) -> str:
    within = "true" if velocity.within_s is None else f"p.end_s > q.at_s - {int(velocity.within_s)}"
    some = f"FILTER (WHERE {within} AND p.{velocity.over} > 0)"
    if velocity.function in {"sum", "average"}:
        spent = f"""SELECT p.currency, jsonb_build_array(sum(p.{velocity.over}), sum(p.{velocity.over}_amount)) AS spent
                    FROM past p WHERE {within} GROUP BY p.currency HAVING sum(p.{velocity.over}) > 0"""
        return f"(SELECT COALESCE(jsonb_object_agg(s.currency, s.spent), '{{}}') FROM ({spent}) s)"
    total = f"COALESCE(sum(p.{velocity.over}) FILTER (WHERE {within}), 0)::bigint"
    return {
        "count": total,
        "first_seen": f"{total} = 0",
        "seconds_since_last": _seconds(f"max(p.start_s) {some}"),
        "seconds_since_first": _seconds(f"min(p.start_s) {some}"),
    }[velocity.function]


def _seconds(start: str) -> str:
    return f"GREATEST(q.at_s, {start}) - {start}"
