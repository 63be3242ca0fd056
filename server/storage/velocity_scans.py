"""Velocity by keys that few payments share: one indexed range scan per key, all windows at once, a batch a statement.

Of a key's payments the newest `MOST` within the longest window are looked at. Called by `storage.velocity`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause

from server.domain.payment import Payment
from server.domain.velocity import Counted, Spent, Traces, Velocity
from server.storage.engine import dumps
from server.storage.prepared import Together, prepared

MOST, MOST_OF_SHARED = 2_000, 500
"""Payments of one key that are looked at, the newest first; fewer of a key that many share, since every payment pays
for it. Beyond them counts stand still, and an average, a first or a number of different values is that of the newest.
What asks for the newest or for the very first payment alone needs no scan."""

KEYS: Mapping[str, str] = {
    "customer": "customer_id",
    "card": "card_fingerprint",
    "email": "email_key",
    "email_domain": "email_domain",
    "ip": "customer_ip",
    "device": "customer_device_id",
    "bin": "card_bin",
    "holder_name": "holder_hash",
    "shipping_address": "shipping_key",
}
"""By what payments can be found again, and the column that holds it; each has an index."""
MERCHANT = "merchant"
"""The one key that every payment has; the primary key serves it."""
_SHARED = frozenset({MERCHANT, "bin", "email_domain"})

OVER: Mapping[str, str] = {
    "payments": "true",
    "approvals": "p.amount_authorized > 0",
    "declines": "p.state = 'FAILED' AND p.failure->>'code' NOT IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE', "
    "'PROCESSOR_UNAVAILABLE', 'PROCESSOR_REJECTED', 'NOT_SUBMITTED')",
    "blocks": "p.state = 'FAILED' AND p.failure->>'code' IN ('FRAUD_BLOCKED', 'REVIEW_NOT_POSSIBLE')",
    "refunds": "p.amount_refunded > 0",
    "disputes": "p.amount_disputed > 0",
    "early_fraud_warnings": "p.early_fraud_warning",
}
"""Which payments are meant, as they stand now: a dispute that was won counts no more, and what the processor never saw
was not declined. The counters' triggers have the same (revision 0004)."""
_AMOUNTS = dict.fromkeys(OVER, "p.amount") | {"refunds": "p.amount_refunded"}
_VALUES: Mapping[str, str] = {
    **{name: f"NULLIF(p.{column}, '')" for name, column in KEYS.items()},
    **{f"{kind}_country": f"NULLIF(p.{kind}_address->>'country', '')" for kind in ("billing", "shipping")},
    "amount": "ROW (p.amount, p.currency)",
}
_SAID: Mapping[str, str] = {
    **{name: f"p.processor_checks->>'{name}'" for name in ("avs_address", "avs_postcode", "cvc_check")},
    "three_d_secure": "p.processor_checks->>'three_d_secure'",
    "decline_code": f"CASE WHEN {OVER['declines']} THEN lower(p.failure->>'decline_code') END",
}
_FIRST = UUID(int=0)
_EPOCH_MS_BITS = 80  # a UUIDv7 begins with 48 bits of milliseconds since 1970: RFC 9562, 5.7
_COLUMN = re.compile(r"\bp\.(\w+)")
_PROBES = ("seconds_since_last", "seconds_since_first", "first_seen")

Asked = tuple[Payment, Traces, tuple[Velocity, ...]]


def can_scan(velocity: Velocity) -> bool:
    """Says whether this module knows the words."""
    words: Mapping[str, str] = {"distinct": _VALUES, "last": _SAID}.get(velocity.function, OVER)
    return velocity.by in (*KEYS, MERCHANT) and velocity.over in words


def read_scans(writes: Together, rows: Sequence[Asked]) -> dict[UUID, Counted]:
    """Returns by payment what it asks for, of the merchant's payments that are older than it.

    Args:
        writes: In the opening transaction; the batch's payments are inserted, or to be inserted before we read.
        rows: A key that the payment lacks leaves its values unknown.
    """
    counted: dict[UUID, Counted] = {payment.id: {} for payment, _, _ in rows}
    wanted: dict[tuple[Velocity, ...], list[dict[str, object]]] = {}
    for payment, traces, velocities in rows:
        if velocities:
            wanted.setdefault(velocities, []).append(_question(payment, traces, velocities))
    for velocities, questions in wanted.items():  # one group, but for the moment when a ruleset is swapped
        result = writes.read(_statement(velocities), {"rows": dumps(questions)})
        for row in result.mappings():
            values = ((v, row[f"v{n}"]) for n, v in enumerate(velocities))
            counted[row["id"]] = {v.name: told(v, value) for v, value in values if value is not None}
    return counted


def told(velocity: Velocity, value: Any) -> int | bool | str | Mapping[str, Spent]:
    """Makes what was counted of what Postgres says."""
    if velocity.function in {"sum", "average"}:
        return {currency: Spent(*numbers) for currency, numbers in value.items()}
    found: int | bool | str = value
    return found


def _question(payment: Payment, traces: Traces, velocities: tuple[Velocity, ...]) -> dict[str, object]:
    keys = {
        "customer_id": payment.customer.id,
        "card_fingerprint": traces.card_fingerprint,
        "email_key": traces.email_key,
        "email_domain": traces.email_domain,
        "customer_ip": payment.customer.ip,
        "customer_device_id": payment.customer.device_id,
        "card_bin": traces.card_bin,
        "holder_hash": traces.holder_hash,
        "shipping_key": traces.shipping_key,
    }
    oldest = {f"oldest_{by}": _oldest(payment.created_at, asked) for by, asked in _by_key(velocities).items()}
    return {
        "merchant_id": payment.merchant_id, "id": payment.id, "created_at": payment.created_at, **keys, **oldest,
    }  # fmt: skip


def _by_key(velocities: Sequence[Velocity]) -> dict[str, list[Velocity]]:
    found: dict[str, list[Velocity]] = {}
    for velocity in velocities:
        found.setdefault(velocity.by, []).append(velocity)
    return found


def _oldest(moment: datetime, velocities: Sequence[Velocity]) -> UUID:
    """The least id that a payment within the longest window can have."""
    windows = [velocity.within_s for velocity in velocities if not _is_probe(velocity)]
    if not windows or None in windows:
        return _FIRST
    return first_id_at(moment - timedelta(seconds=max(one for one in windows if one is not None)))


def first_id_at(moment: datetime) -> UUID:
    """The least id that a payment of a moment can have."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << _EPOCH_MS_BITS)


def _is_probe(velocity: Velocity) -> bool:
    """Whether one payment at an end of the index answers, so that nothing needs to be scanned."""
    ends = velocity.within_s is None or velocity.function != "seconds_since_first"
    return velocity.over == "payments" and velocity.function in _PROBES and ends


@lru_cache(maxsize=16)
def _statement(velocities: tuple[Velocity, ...]) -> TextClause:
    """Builds the statement for one ruleset; every name in it is ours, every value a parameter."""
    numbers = {velocity: f"v{n}" for n, velocity in enumerate(velocities)}
    laterals = [_lateral(by, [(numbers[one], one) for one in asked]) for by, asked in _by_key(velocities).items()]
    oldest = "".join(f", oldest_{by} uuid" for by in _by_key(velocities))
    return prepared(f"""
        SELECT q.id, {", ".join(numbers.values())}
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS q(
            merchant_id uuid, id uuid, created_at timestamptz, {" text, ".join(KEYS.values())} text{oldest})
        {"".join(laterals)}
    """)


def _lateral(by: str, asked: Sequence[tuple[str, Velocity]]) -> str:
    scanned = [_scanned(name, velocity) for name, velocity in asked if not _is_probe(velocity)]
    probed = [f"{_probed(velocity)} AS {name}" for name, velocity in asked if _is_probe(velocity)]
    # Rows are wide, so no column is carried along that nothing asks for.
    needed = dict.fromkeys(("id", *_COLUMN.findall(" ".join(scanned))))
    past = f"""WITH past AS (
                SELECT {", ".join(f"p.{column}" for column in needed)} FROM payments p
                WHERE {_of_key(by, f"q.oldest_{by}")} {_order(by, "DESC")}
                LIMIT {MOST_OF_SHARED if by in _SHARED else MOST}) """
    # Without an aggregate, sums and last words alone would be told once for each payment.
    from_past = "FROM past p HAVING count(*) >= 0" if scanned else ""
    has_key = "true" if by == MERCHANT else f"q.{KEYS[by]} <> ''"
    return f"""
        LEFT JOIN LATERAL (
            {past if scanned else ""}SELECT {", ".join((*scanned, *probed))} {from_past}
        ) AS by_{by} ON {has_key}"""


def _of_key(by: str, oldest: str) -> str:
    """The key's payments from an id on. As a range of rows it leaves the planner no index but the key's own.

    By equality, a walk over all of the merchant's payments backwards would do too, and look cheaper where most payments
    share few values; for a card that was never seen it reads them all.
    """
    if by == MERCHANT:
        return f"p.merchant_id = q.merchant_id AND p.id < q.id AND p.id >= {oldest}"
    column = KEYS[by]
    return f"""p.merchant_id = q.merchant_id AND (p.{column}, p.id) < (q.{column}, q.id)
               AND (p.{column}, p.id) >= (q.{column}, {oldest}) AND p.{column} <> ''"""


def _order(by: str, direction: str) -> str:
    columns = ("id",) if by == MERCHANT else (KEYS[by], "id")
    return "ORDER BY " + ", ".join(f"p.{column} {direction}" for column in columns)


def _scanned(name: str, velocity: Velocity) -> str:
    """Sums up the scan; what a payment was like stands in OVER, when it was made in the window."""
    inside, function = within(velocity), velocity.function
    if function == "distinct":
        return f"count(DISTINCT {_VALUES[velocity.over]}) FILTER (WHERE {inside}) AS {name}"
    if function == "last":
        said = _SAID[velocity.over]
        newest = f"SELECT {said} FROM past p WHERE {inside} AND {said} IS NOT NULL ORDER BY p.id DESC LIMIT 1"
        return f"({newest}) AS {name}"
    meant = f"{inside} AND {OVER[velocity.over]}"
    if function in {"sum", "average"}:
        amount = _AMOUNTS[velocity.over]
        spent = f"""SELECT p.currency, jsonb_build_array(count(*), sum({amount})) AS spent
                    FROM past p WHERE {meant} GROUP BY p.currency"""
        return f"(SELECT COALESCE(jsonb_object_agg(s.currency, s.spent), '{{}}') FROM ({spent}) s) AS {name}"
    chosen = f"FILTER (WHERE {meant})"
    return {
        "count": f"count(*) {chosen} AS {name}",
        "first_seen": f"count(*) {chosen} = 0 AS {name}",
        "seconds_since_last": f"{seconds_since(f'max(p.created_at) {chosen}')} AS {name}",
        "seconds_since_first": f"{seconds_since(f'min(p.created_at) {chosen}')} AS {name}",
    }[function]


def _probed(velocity: Velocity) -> str:
    """Looks at the newest payment of the key alone, or at its oldest."""
    oldest = "'00000000-0000-0000-0000-000000000000'::uuid"
    found = f"FROM payments p WHERE {_of_key(velocity.by, oldest)}"
    newest, first = (f"{_order(velocity.by, way)} LIMIT 1" for way in ("DESC", "ASC"))
    if velocity.function == "first_seen":
        return f"NOT COALESCE((SELECT {within(velocity)} {found} {newest}), false)"
    if velocity.function == "seconds_since_first":
        return f"(SELECT {seconds_since('p.created_at')} {found} {first})"
    return f"(SELECT CASE WHEN {within(velocity)} THEN {seconds_since('p.created_at')} END {found} {newest})"


def seconds_since(moment: str) -> str:
    """Whole seconds since a moment; unknown where there is none, and 0 where another server's clock was ahead."""
    return f"floor(extract(epoch FROM GREATEST(q.created_at, {moment}) - {moment}))::bigint"


def within(velocity: Velocity) -> str:
    """Whether a payment `p` was made in the window that ends when `q` was."""
    if velocity.within_s is None:
        return "true"
    return f"p.created_at > q.created_at - interval '{int(velocity.within_s)} seconds'"
