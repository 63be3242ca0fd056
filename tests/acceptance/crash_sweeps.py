"""What the worker is crashed over: transactions that somebody left open, fees that come late, time that is over."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from server.domain.ids import Prefix, render_id
from tests.acceptance.crash_deeds import Deed, World, send
from tests.acceptance.stacks import merchant_uuid, payment_uuid
from tests.acceptance.victims import Job, OpenTransaction, collect_fee, expire, recover

LEASE_S = 12.0
"""How long a victim's transactions stay its own: long enough for one call on a busy machine."""
FEE_TOLD_AFTER_S = 1.0
QUEUES = {
    "fees_due": "true",
    "payment_deadlines": "expires_at < now()",
    "reviews": "state = 'OPEN' AND deadline < now()",
}
"""What the worker takes from the top of, and which rows of it must be gone in the end."""

OPEN, DONE = "an open transaction", "all"
_NEXT_RECOVERY = "the next recovery"
_RECOVERY = f"""
    SELECT CASE WHEN state IN ('PENDING', 'UNKNOWN') THEN '{OPEN}' ELSE 'all, with the answer' END
    FROM transactions WHERE payment_id = %s::uuid AND id = '{{}}'"""
_CAPTURE, _NEXT_FEES = "the capture without its fee", "the next sweep of fees"
_FEE = f"""
    SELECT CASE WHEN count(*) = 0 THEN '{_CAPTURE}' ELSE '{DONE}' END
    FROM ledger_entries WHERE payment_id = %s::uuid AND kind = 'FEE'"""
_HOLD, _ENDED, _NEXT_DEADLINES = (
    "a hold whose time is over",
    "the void, and its deadline",
    "the next sweep of deadlines",
)
_EXPIRY = f"""
    SELECT CASE WHEN d.payment_id IS NULL THEN '{DONE}' WHEN p.state = 'CANCELLED' THEN '{_ENDED}'
                WHEN EXISTS (SELECT FROM transactions t WHERE t.payment_id = p.id AND t.type = 'VOID'
                             AND t.state IN ('PENDING', 'UNKNOWN')) THEN '{OPEN}' ELSE '{_HOLD}' END
    FROM payments p LEFT JOIN payment_deadlines d ON d.merchant_id = p.merchant_id AND d.payment_id = p.id
    WHERE p.id = %s::uuid"""


def lost(world: World, deed: Deed, point: str, lease_s: float = LEASE_S) -> OpenTransaction:
    """Lets a victim die at a point, and returns the transaction that it leaves open."""
    victim = world.nursery.serve(f"lost-{deed.key}", {"kill": point}, lease_s)
    assert send(world, victim, deed) is None and victim.died(), f"it did not die at {point}"
    query = """SELECT merchant_id, payment_id, transaction_id FROM idempotency_keys
               WHERE merchant_id = %s::uuid AND key = %s"""
    ((merchant, payment, transaction),) = world.platform.query(query, merchant_uuid(deed.shop or world.shop), deed.key)
    return UUID(str(merchant)), UUID(str(payment)), UUID(str(transaction))


def recovery(make: Callable[[World], Deed], point: str) -> Callable[[World], Deed]:
    """Lets a victim die at a point; the next one is to recover what is left."""

    def prepare(world: World) -> Deed:
        deed = make(world)
        transaction = lost(world, deed, point)
        return recovering(world, deed, transaction)

    return prepare


def recovering(world: World, deed: Deed, transaction: OpenTransaction) -> Deed:
    """Recovers a transaction, whose lease or pause is over now."""
    world.platform.execute("UPDATE transactions SET lease_until = now() WHERE id = %s::uuid", str(transaction[2]))
    return Deed(
        "",
        payment=render_id(Prefix.PAYMENT, transaction[1]),
        job=Job(recover, transaction),
        stage=_RECOVERY.format(transaction[2]),
        heals={OPEN: _NEXT_RECOVERY},
        shop=deed.shop,
    )


def late_fee(world: World) -> Deed:
    """A capture of which the processor has told meanwhile what it keeps."""
    payment = world.late.paid()
    time.sleep(FEE_TOLD_AFTER_S)
    heals = {_CAPTURE: _NEXT_FEES}
    return Deed("", None, payment["id"], Job(collect_fee), "fees_due", _FEE, heals, shop=world.late)


def expiry(**changes: Any) -> Callable[[World], Deed]:
    """A hold whose time is over."""

    def prepare(world: World) -> Deed:
        payment = world.shop.paid(**changes)
        over = """UPDATE payment_deadlines SET expires_at = now() - interval '1 second', next_attempt_at = 'infinity'
                  WHERE payment_id = %s::uuid"""
        world.platform.execute(over, str(payment_uuid(payment["id"])))
        heals = {_HOLD: _NEXT_DEADLINES, OPEN: "recovery", _ENDED: _NEXT_DEADLINES}
        return Deed("", None, payment["id"], Job(expire), "payment_deadlines", _EXPIRY, heals)

    return prepare
