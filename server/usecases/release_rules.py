"""Puts rules in force, takes them back, and tells the history. Called by `kassa rules …`."""

from dataclasses import dataclass

from server.domain.rulesets import HistoryLine, InForce, NewRelease, Release, Role, Version
from server.domain.snooze import Snooze
from server.storage.engine import Reads
from server.storage.rulesets import end_shadow, read_history, read_in_force, read_versions, release, roll_back
from server.storage.short_transactions import ShortTransactions
from server.storage.snoozes import read_snoozes


@dataclass(frozen=True, slots=True)
class History:
    """The newest releases, newest first, which are in force, and which rules are silent now."""

    lines: tuple[HistoryLine, ...]
    in_force: InForce
    snoozes: tuple[Snooze, ...] = ()


class ReleaseRules:
    """See the module. All methods raise KassaError where the database cannot be reached."""

    def __init__(self, reads: Reads, transactions: ShortTransactions) -> None:
        self._reads, self._transactions = reads, transactions

    async def promote(self, version: Version, new: NewRelease) -> Release | None:
        """Puts a version that has passed the gates in force; None where it has this role already.

        Raises:
            ReleaseRefused: There is nothing that it could be tried beside.
        """
        return await self._transactions.run(release, version, new)

    async def roll_back(self, to: str | None, author: str, reason: str) -> Release:
        """Ends the candidate, or goes back to an earlier live version: `storage.rulesets.roll_back`.

        Raises:
            ReleaseRefused: There is nothing to go back to.
        """
        return await self._transactions.run(roll_back, to, author, reason)

    async def end_shadow(self, author: str, reason: str) -> Release:
        """Ends the shadow ruleset.

        Raises:
            ReleaseRefused: There is none.
        """
        return await self._transactions.run(end_shadow, author, reason)

    async def history(self, size: int) -> History:
        """Tells the newest releases."""
        lines = await self._reads.run(read_history, size)
        in_force, snoozes = await self._reads.run(read_in_force), await self._reads.run(read_snoozes)
        return History(tuple(lines), in_force, tuple(snoozes))

    async def version_in(self, role: Role) -> Version | None:
        """Returns the version that has a role; None where none has."""
        in_force = await self._reads.run(read_in_force)
        if role not in in_force:
            return None
        version_hash = in_force[role].hash
        return (await self._reads.run(read_versions, [version_hash])).get(version_hash)
