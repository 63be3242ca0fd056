"""Decides stored decisions once more and tells where the answer is another one. Called by `kassa rules replay`."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from server.domain.rulesets import Version
from server.screening.replaying import Difference, Replaying, replayable, shadow_replayable
from server.storage.decisions import StoredDecision
from server.storage.rulesets import read_versions


@dataclass(frozen=True, slots=True)
class Deviation:
    """A payment that would be decided otherwise, or cannot be decided again."""

    payment_id: UUID
    difference: Difference


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What came of a replay.

    Attributes:
        replayed: Decisions that were made again, by both back ends.
        undecided: Decisions that no rules had made, since screening had failed.
        shadows: Decisions of shadow rulesets that were made again.
        shadows_left: Those that were not: their facts were not kept yet, or screening had failed.
    """

    replayed: int
    undecided: int
    deviations: tuple[Deviation, ...]
    shadows: int = 0
    shadows_left: int = 0

    @property
    def differing(self) -> int:
        """How many decisions differ."""
        return len({one.payment_id for one in self.deviations if not one.difference.shadow})

    @property
    def shadows_differing(self) -> int:
        """How many decisions of shadow rulesets differ."""
        return len({(one.payment_id, shadow) for one in self.deviations if (shadow := one.difference.shadow)})


def replay_decisions(
    connection: Connection, stored: Iterable[StoredDecision], progress: Callable[[int], None]
) -> ReplayReport:
    """Replays decisions one by one; `progress` is told how many are done."""
    replayed = undecided = shadows = shadows_left = 0
    deviations: list[Deviation] = []

    def read_version(version_hash: str) -> Version | None:
        return read_versions(connection, [version_hash]).get(version_hash)

    with closing(Replaying(read_version)) as replaying:
        for one in stored:
            if replayable(one.decision):
                found = replaying.differences(one.decision, could_not_wait=one.could_not_wait)
                deviations += [Deviation(one.payment_id, difference) for difference in found]
                replayed += 1
            else:
                undecided += 1
            for shadow in one.decision.shadows:
                if shadow_replayable(shadow):
                    found = replaying.shadow_differences(one.decision, shadow)
                    deviations += [Deviation(one.payment_id, difference) for difference in found]
                    shadows += 1
                else:
                    shadows_left += 1
            progress(replayed + undecided)
    return ReplayReport(replayed, undecided, tuple(deviations), shadows, shadows_left)
