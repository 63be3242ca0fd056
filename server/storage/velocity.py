"""Reads what rules ask of a merchant's earlier payments. Called by `open_payments` for a whole batch at once.

Three ways: `velocity_scans` reads the payments of a key that few payments share, `velocity_counters` the counters of
one that many do, `velocity_platform` what all merchants' payments share. Which of them serves a question follows from
its words alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sqlalchemy import Connection

from server.domain.payment import Payment
from server.domain.velocity import Counted, Traces, Velocity
from server.storage.prepared import Together
from server.storage.velocity_counters import is_counter, read_counters
from server.storage.velocity_platform import can_count_platform, read_platform
from server.storage.velocity_scans import can_scan, read_scans

Asked = tuple[Payment, Traces, tuple[Velocity, ...]]
"""A payment, what it is found again by, and what its ruleset asks for."""


class _Way(Enum):
    COUNTER = "counter"
    SCAN = "scan"
    PLATFORM = "platform"


def servable(velocity: Velocity) -> bool:
    """Says whether this storage can read what a rule asks for."""
    return can_count_platform(velocity) if velocity.platform else is_counter(velocity) or can_scan(velocity)


@dataclass(frozen=True, slots=True)
class Past:
    """What the counters said before the batch was inserted; `complete` adds what the payments themselves tell."""

    _asked: Sequence[Asked]
    _counters: Mapping[UUID, Counted]

    def complete(self, writes: Together) -> dict[UUID, Counted]:
        """Returns by payment all that its ruleset asks for; what is unknown is left out.

        Writes the payments down across merchants, where that is asked for.

        Args:
            writes: In the same transaction; the batch's payments are inserted, or to be inserted before we read.
        """
        scanned = read_scans(writes, _parts(self._asked, _Way.SCAN))
        found: dict[UUID, Counted] = {
            payment.id: {**self._counters[payment.id], **scanned[payment.id]} for payment, _, _ in self._asked
        }
        everywhere = _parts(self._asked, _Way.PLATFORM)
        if any(velocities for _, _, velocities in everywhere):
            counted = read_platform(writes, everywhere)
            found = {payment_id: {**known, **counted[payment_id]} for payment_id, known in found.items()}
        return found


def read_past(connection: Connection, asked: Sequence[Asked]) -> Past:
    """Reads the counters, which must not hold the batch yet: a payment's own past does not contain it.

    Args:
        connection: In the opening transaction, before the batch's payments are inserted.
        asked: In the order in which the payments were made; the older ones count for the younger ones.
    """
    return Past(asked, read_counters(connection, _parts(asked, _Way.COUNTER)))


def _parts(asked: Sequence[Asked], way: _Way) -> list[Asked]:
    """Leaves the questions of one way. Payments of a batch share what their rulesets ask, so it is sorted out once."""
    chosen: dict[int, tuple[Velocity, ...]] = {}
    for _, _, velocities in asked:
        if id(velocities) not in chosen:
            chosen[id(velocities)] = tuple(one for one in velocities if _way_of(one) is way)
    return [(payment, traces, chosen[id(velocities)]) for payment, traces, velocities in asked]


def _way_of(velocity: Velocity) -> _Way:
    if velocity.platform:
        return _Way.PLATFORM
    return _Way.COUNTER if is_counter(velocity) else _Way.SCAN
