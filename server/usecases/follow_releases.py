"""Keeps a server's rulesets as the database says, and releases what is edited in the rule file that it watches."""

import asyncio
import logging
import math
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from server.domain.errors import KassaError
from server.domain.rulesets import FILE_AUTHOR, InForce, NewRelease, Role, Version
from server.screening.gates import released_version
from server.screening.rulesets import Refused, RulesError, Rulesets, TakenUp
from server.screening.watched_file import Stamp, WatchedFile
from server.storage.engine import Reads
from server.storage.rulesets import (
    keep_version,
    read_in_force,
    read_versions,
    release_unless_known,
    release_unless_since,
)
from server.storage.short_transactions import ShortTransactions

_log = logging.getLogger(__name__)
FILE = "file"
"""What was refused: an edit of the file, else a release of some role."""
AGAIN_AFTER_S = 60.0
"""Seconds after which a release that was refused here is tried again."""


class Observe(Protocol):
    """Shows how a server obeys."""

    def rules_in_force(self, hashes: Mapping[Role, str]) -> None:
        """What has which role now."""

    def rules_rejected(self, source: str) -> None:
        """An edit (`file`) or a release (its role) did not pass."""

    def rules_not_obeyed(self, sources: Collection[str]) -> None:
        """Whose newest rules are not in force here."""


class FollowReleases:
    """See the module. `begin` once, then `look` again and again, each after the other."""

    def __init__(
        self, reads: Reads, transactions: ShortTransactions, rulesets: Rulesets, watched: WatchedFile, observe: Observe
    ) -> None:
        self._reads, self._transactions, self._rulesets = reads, transactions, rulesets
        self._watched, self._observe = watched, observe
        self._stamp: Stamp | None = None
        self._first = True
        """Whether the file was never taken note of yet."""
        self._offered = ""
        """Hash of the version that it was when it was last; nothing while nobody knows what became of a release."""
        self._seen = 0
        self._obeyed: dict[Role, int] | None = None
        self._again_at = math.inf
        self._kept: set[str] = set()
        self._not_obeyed: set[str] = set()

    async def begin(self) -> None:
        """Brings the first rulesets in force: what is released, else what the file says.

        Raises:
            RulesError: Neither has rules that can be used.
        """
        try:
            await self.look()
        except KassaError as trouble:
            _log.warning("the database does not say which rules are in force: %s", trouble)
        if not self._rulesets.ready:
            await asyncio.to_thread(lambda: self._rulesets.fall_back(self._watched.read()))
            self._show()

    async def look(self) -> None:
        """Takes up what was released or edited since the last look. Where nothing was, it costs one small query.

        Raises:
            KassaError: The database cannot be reached; the next look begins where this one stopped.
        """
        releases = await self._reads.run(read_in_force)
        seen = releases[Role.LIVE].number if Role.LIVE in releases else 0
        if await self._offer_file(releases):
            releases = await self._reads.run(read_in_force)
        await self._obey(releases)
        # As of before the file was looked at: an edit that is found later was released by others later, too.
        self._seen = seen

    async def _offer_file(self, releases: InForce) -> bool:
        """Releases the file if it was edited, or at the start if its version was never seen.

        Returns:
            Whether that was tried: then there is something new in force, by this server or by one that was quicker.
        """
        stamp = await asyncio.to_thread(self._watched.stamp)
        if stamp == self._stamp:
            return False
        try:
            version = await self._prove(stamp, releases)
        except RulesError as error:
            self._stamp = stamp
            self._refuse(FILE, error.problems)
            return False
        if version is None:
            return False
        self._offered = ""
        await self._release(version)
        self._settle(stamp, version.hash)
        return True

    async def _prove(self, stamp: Stamp, releases: InForce) -> Version | None:
        """Passes the file through the gates; None where there is nothing to release, or not yet.

        A file that says what it said before was touched or copied, not edited: what was released since stays in force.
        """
        offered = (await asyncio.to_thread(lambda: released_version(self._watched.read()))).hash
        if offered == self._offered or (self._first and await self._known(offered, releases)):
            self._settle(stamp, offered)
            return None
        version = await asyncio.to_thread(lambda: self._rulesets.prove(self._watched.read()))
        # What was written to meanwhile may have been read half; the next look reads it again.
        return version if await asyncio.to_thread(self._watched.stamp) == stamp else None

    def _settle(self, stamp: Stamp, offered: str) -> None:
        self._stamp, self._offered, self._first = stamp, offered, False
        self._not_obeyed.discard(FILE)
        self._show()

    async def _known(self, offered: str, releases: InForce) -> bool:
        known = bool(await self._reads.run(read_versions, [offered]))
        live = releases.get(Role.LIVE)
        if known and live is not None and live.hash != offered:
            path, here, there = self._watched.path, offered[:12], live.hash[:12]
            _log.warning("%s is version %s, which is known and not live; %s stays in force", path, here, there)
        return known

    async def _release(self, version: Version) -> None:
        path, how = self._watched.path, "found at a start" if self._first else "edited"
        new = NewRelease(Role.LIVE, 100, FILE_AUTHOR, f"{how}: {path}")
        if self._first:
            await self._transactions.run(release_unless_known, version, new)
        else:
            await self._transactions.run(release_unless_since, version, new, self._seen)

    async def _obey(self, releases: InForce) -> None:
        numbers = {role: release.number for role, release in releases.items()}
        if numbers == self._obeyed and time.monotonic() < self._again_at:
            return
        lacking = self._rulesets.lacking(releases)
        versions = await self._reads.run(read_versions, lacking) if lacking else {}
        await self._keep(versions)
        for told in await asyncio.to_thread(self._rulesets.obey, releases, versions):
            self._tell(told)
        self._not_obeyed -= {role.value for role in Role if self._rulesets.obeys(role, releases.get(role))}
        self._obeyed = numbers
        # A machine that was too busy for a trial is not so for ever.
        trouble = self._not_obeyed - {FILE}
        self._again_at = time.monotonic() + AGAIN_AFTER_S if trouble else math.inf
        self._show()

    async def _keep(self, versions: Mapping[str, Version]) -> None:
        """Keeps what decisions will name, before any does: a server's own threshold makes versions of its own."""
        own = await asyncio.to_thread(self._rulesets.own_versions, versions)
        for version in [*own, *self._rulesets.versions()]:
            if version.hash not in self._kept:
                if version.hash not in versions:
                    await self._transactions.run(keep_version, version)
                self._kept.add(version.hash)

    def _tell(self, told: TakenUp | Refused) -> None:
        match told:
            case Refused(role=role, problems=problems):
                self._refuse(role.value, problems)
            case TakenUp(role=role, hash=new, previous=old):
                _log.info("rules taken up: %s is %s after %s", role.value, new[:12] or "nobody", old[:12] or "nobody")

    def _refuse(self, source: str, problems: Iterable[object]) -> None:
        for problem in problems:
            _log.error("rules not taken up: %s: %s", source, problem)
        self._not_obeyed.add(source)
        self._observe.rules_rejected(source)
        self._show()

    def _show(self) -> None:
        self._observe.rules_in_force(self._rulesets.hashes())
        self._observe.rules_not_obeyed(self._not_obeyed)
