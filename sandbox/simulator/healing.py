"""Waits until everything has settled after the faults are over. Pauses are not waited out but wound forward.

Recovery and the handling of webhooks pause longer with each attempt, up to minutes. Their next look is due at once
here, since what they see then is what they would see later; nothing else of the database is touched.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg2

from sandbox.local import parts
from sandbox.local.stack import LocalStack
from sandbox.simulator.merchants import Merchant
from sandbox.simulator.oracle import Finding

_WIND_EVERY_S: Final = 1.0
_SETTLES_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.1
_WIND_TRANSACTIONS: Final = """
    UPDATE transactions SET lease_until = now()
    WHERE merchant_id = ANY(%(merchants)s::uuid[]) AND state IN ('PENDING', 'UNKNOWN') AND owner IS NULL
      AND lease_until > now()"""
_WIND_EVENTS: Final = """
    UPDATE processor_events SET next_attempt_at = now()
    WHERE account_id = ANY(%(accounts)s::uuid[]) AND handled_at IS NULL AND next_attempt_at > now()"""
_UNSETTLED: Final = """
    SELECT (SELECT count(*) FROM transactions
            WHERE merchant_id = ANY(%(merchants)s::uuid[]) AND state IN ('PENDING', 'UNKNOWN') AND NOT waiting)
         + (SELECT count(*) FROM processor_events
            WHERE account_id = ANY(%(accounts)s::uuid[]) AND handled_at IS NULL)"""


def converge(
    stack: LocalStack, merchants: Sequence[Merchant], judge: Callable[[], list[Finding]], patience_s: float
) -> tuple[float, list[Finding]]:
    """Waits for the end of everything that is under way.

    Args:
        judge: Gathers the evidence as it stands and returns what is not as promised (yet).
        patience_s: Seconds to wait at most.

    Returns:
        The seconds it took, and what was still not as promised then.
    """
    began = time.monotonic()
    whose = {
        "merchants": [merchant.id for merchant in merchants],
        "accounts": [account for merchant in merchants for account in merchant.account_ids],
    }
    owner = stack.postgres.dsn(parts.DATABASE, parts.OWNER, stack.site.credentials.owner_password)
    with closing(psycopg2.connect(owner)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while True:
            settled = _wait_until_settled(cursor, whose)
            waited = time.monotonic() - began
            late = waited > patience_s
            if settled or late:
                findings = judge()
                if not findings or late:
                    return waited, findings
            cursor.execute(_WIND_TRANSACTIONS, whose)
            cursor.execute(_WIND_EVENTS, whose)
            time.sleep(_WIND_EVERY_S)


def _wait_until_settled(cursor: Any, whose: dict[str, list[str]]) -> bool:
    """Lets what is under way end, without winding: whoever only waits is asked about at every winding."""
    until = time.monotonic() + _SETTLES_WITHIN_S
    while time.monotonic() < until:
        cursor.execute(_UNSETTLED, whose)
        (unsettled,) = cursor.fetchone()
        if not unsettled:
            return True
        time.sleep(_LOOK_EVERY_S)
    return False
