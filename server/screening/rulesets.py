"""The rulesets in force on this server: live, candidate and shadow, replaced whole while payments go on.

`screen` decides with them; `usecases.follow_releases` keeps them as the releases say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fraud_rules import Problem, RulesError, Ruleset, Sources
from server.domain.rulesets import InForce, Release, Role, Version
from server.screening.gates import Gates, released_version, sources_of, version_of
from server.screening.shadow import Shadow

__all__ = ["Candidate", "Lineup", "Refused", "RulesError", "Rulesets", "TakenUp"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ruleset that decides for `percent` of the customers; which ones depends on `key`, its released hash."""

    ruleset: Ruleset
    percent: int
    key: str


@dataclass(frozen=True, slots=True)
class Lineup:
    """Who decides at one moment; a payment is prepared and decided by one and the same."""

    live: Ruleset
    candidate: Candidate | None
    shadow: Shadow | None

    @property
    def rulesets(self) -> tuple[Ruleset, ...]:
        """All that look at a payment."""
        beside = (one.ruleset for one in (self.candidate, self.shadow) if one is not None)
        return (self.live, *beside)


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A version has a role here; an empty hash: nobody has it any more."""

    role: Role
    hash: str
    previous: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A version that was released is not obeyed here; who was live before goes on."""

    role: Role
    hash: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Seat:
    """A loaded ruleset and the hash under which it was released; its own is another under a server's threshold."""

    released: str
    ruleset: Ruleset


class Rulesets:
    """Holds what is in force. `lineup` may be read from any thread; everything else is for one caller at a time."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._seats: dict[Role, _Seat] = {}
        self._proven: _Seat | None = None
        self._lineup: Lineup | None = None

    @property
    def lineup(self) -> Lineup:
        """The rulesets in force now; ask anew for each payment."""
        assert self._lineup is not None, "nobody decides before the first ruleset was taken up"
        return self._lineup

    @property
    def ready(self) -> bool:
        """Whether there is a live ruleset."""
        return self._lineup is not None

    def hashes(self) -> Mapping[Role, str]:
        """What has which role, under the hashes that decisions are stored with."""
        return {role: seat.ruleset.hash for role, seat in self._seats.items()}

    def versions(self) -> list[Version]:
        """Everything loaded, as the versions that decisions will name."""
        return [version_of(seat.ruleset) for seat in self._seats.values()]

    def lacking(self, releases: InForce) -> set[str]:
        """Returns the released hashes whose sources `obey` needs."""
        return {release.hash for role, release in releases.items() if self._at(role) != release.hash}

    def obeys(self, role: Role, release: Release | None) -> bool:
        """Says whether a role is filled, or empty, as its newest release has it."""
        return self._at(role) == ("" if release is None else release.hash)

    def prove(self, sources: Sources) -> Version:
        """Passes sources through every gate and keeps what was loaded for the `obey` that follows.

        Raises:
            RulesError: A gate is closed.
        """
        version = released_version(sources)
        self._forget_proven()
        self._proven = _Seat(version.hash, self._gates.load(sources, Role.LIVE))
        return version

    def own_versions(self, versions: Mapping[str, Version]) -> list[Version]:
        """Returns what this server makes of released versions, for keeping before anything is decided by it."""
        made = []
        for version in versions.values():
            try:
                made.append(self._gates.own_version(sources_of(version)))
            except RulesError:
                continue  # `obey` says so
        return made

    def obey(self, releases: InForce, versions: Mapping[str, Version]) -> list[TakenUp | Refused]:
        """Loads what is missing and puts it all in force at once. Takes up to seconds for each that is new.

        A version that does not load leaves a live ruleset in force, and a candidate's or shadow's role empty.

        Args:
            versions: At least those that `lacking` asks for, as far as they are kept.
        """
        seats, told = dict(self._seats), list[TakenUp | Refused]()
        for role in Role:
            release = releases.get(role)
            if release is None:
                if role is not Role.LIVE:
                    seats.pop(role, None)
            elif self._at(role) != release.hash:
                self._seat(seats, release, versions.get(release.hash), told)
        before = self.hashes()
        self._put_in_force(seats, releases.get(Role.CANDIDATE))
        self._forget_proven()
        after = self.hashes()
        changed = [role for role in Role if before.get(role) != after.get(role)]
        return told + [TakenUp(role, after.get(role, ""), before.get(role, "")) for role in changed]

    def fall_back(self, sources: Sources) -> None:
        """Puts sources in force that nobody has released, while the database does not say what is.

        Raises:
            RulesError: They are not sound, so there is nothing to decide with.
        """
        version = released_version(sources)
        ruleset = self._gates.load(sources, Role.LIVE, trial=False)
        self._put_in_force({Role.LIVE: _Seat(version.hash, ruleset)}, None)

    def close(self) -> None:
        """Releases everything; what is in force can still decide, by the evaluator."""
        self._forget_proven()
        for seat in self._seats.values():
            seat.ruleset.close()

    def _at(self, role: Role) -> str:
        seat = self._seats.get(role)
        return "" if seat is None else seat.released

    def _seat(
        self, seats: dict[Role, _Seat], release: Release, version: Version | None, told: list[TakenUp | Refused]
    ) -> None:
        try:
            seats[release.role] = self._load(release, version)
        except RulesError as error:
            told.append(Refused(release.role, release.hash, error.problems))
            if release.role is not Role.LIVE:
                seats.pop(release.role, None)

    def _load(self, release: Release, version: Version | None) -> _Seat:
        proven = self._proven
        if proven is not None and release.role is Role.LIVE and proven.released == release.hash:
            self._proven = None
            return proven
        if version is None:
            raise RulesError([Problem(release.hash[:12], 0, 0, "no such version is kept")])
        # At the start there is nothing yet that a killed process could lose.
        first = release.role is Role.LIVE and not self.ready
        return _Seat(release.hash, self._gates.load(sources_of(version), release.role, trial=not first))

    def _put_in_force(self, seats: dict[Role, _Seat], release: Release | None) -> None:
        old = [seat for role, seat in self._seats.items() if seats.get(role) is not seat]
        shadow = self._lineup.shadow if self._lineup is not None else None
        if seats.get(Role.SHADOW) is not self._seats.get(Role.SHADOW):
            shadow = Shadow(seats[Role.SHADOW].ruleset, self._gates.alarm) if Role.SHADOW in seats else None
        self._seats = seats
        if Role.LIVE in seats:
            self._lineup = _lineup(seats, release, shadow)
        for seat in old:
            seat.ruleset.close()

    def _forget_proven(self) -> None:
        if self._proven is not None:
            self._proven.ruleset.close()
            self._proven = None


def _lineup(seats: Mapping[Role, _Seat], release: Release | None, shadow: Shadow | None) -> Lineup:
    seat = seats.get(Role.CANDIDATE)
    candidate = None if seat is None or release is None else Candidate(seat.ruleset, release.percent, seat.released)
    return Lineup(seats[Role.LIVE].ruleset, candidate, shadow)
