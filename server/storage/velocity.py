"""Reads what rules ask of a merchant's earlier payments. Called by `open_payments` for a whole batch at once.

Two ways: `velocity_scans` reads the payments of a key that few payments share, `velocity_counters` the counters of one
that many do. Which of them serves a question follows from its words alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from server.domain.payment import Payment
from server.domain.velocity import Counted, Traces, Velocity
from server.storage.prepared import Together
from server.storage.velocity_counters import is_counter, read_counters
from server.storage.velocity_scans import can_scan, read_scans

Asked = tuple[Payment, Traces, tuple[Velocity, ...]]
"""A payment, what it is found again by, and what its ruleset asks for."""


def servable(velocity: Velocity) -> bool:
    """Says whether this storage can read what a rule asks for."""
    return is_counter(velocity) or can_scan(velocity)


@dataclass(frozen=True, slots=True)
class Past:
    """What the counters said before the batch was inserted; `complete` adds what the payments themselves tell."""

    _asked: Sequence[Asked]
    _counters: Mapping[UUID, Counted]

    def complete(self, writes: Together) -> dict[UUID, Counted]:
        """Returns by payment all that its ruleset asks for; what is unknown is left out.

        Args:
            writes: In the same transaction; the batch's payments are inserted, or to be inserted before we read.
        """
        scanned = read_scans(writes, [_part(one, counters=False) for one in self._asked])
        return {payment.id: {**self._counters[payment.id], **scanned[payment.id]} for payment, _, _ in self._asked}


def read_past(connection: Connection, asked: Sequence[Asked]) -> Past:
    """Reads the counters, which must not hold the batch yet: a payment's own past does not contain it.

    Args:
        connection: In the opening transaction, before the batch's payments are inserted.
        asked: In the order in which the payments were made; the older ones count for the younger ones.
    """
    return Past(asked, read_counters(connection, [_part(one, counters=True) for one in asked]))


def _part(asked: Asked, *, counters: bool) -> Asked:
    payment, traces, velocities = asked
    return payment, traces, tuple(one for one in velocities if is_counter(one) is counters)
