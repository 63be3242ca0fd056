"""Rulesets in force without a database: versions made of a rule's text, and releases of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fraud_rules import EMPTY, Problem, Ruleset, RuntimeLists, ScreeningFailure, Sources
from fraud_rules.sources import RATES
from server.domain.payment import FraudDecision, Payment
from server.domain.rulesets import Release, Role, Version
from server.domain.velocity import Counted
from server.screening.gates import Gates, released_version
from server.screening.rulesets import Refused, Rulesets, TakenUp
from server.screening.screen import Screening
from tests.factories import make_payment
from tests.fraud_rules.rulefiles import rule, ruleset_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sources(*rules: str, name: str = "cards.yaml") -> Sources:
    """A file of these rules, with the shipped rates and no lists."""
    return Sources(name, ruleset_text(*rules).encode(), {}, RATES.read_bytes())


def blocks(name: str, when: str) -> Sources:
    """One rule that blocks."""
    return sources(rule(name, when, "action: block"))


def nothing_refused(_: Ruleset) -> list[Problem]:
    """A server that can do everything."""
    return []


@dataclass
class Bench:
    """Rulesets, what is released of them, and the alarms that were raised; the trial is left to its own tests."""

    rulesets: Rulesets = field(init=False)
    screening: Screening = field(init=False)
    alarms: list[tuple[Role, ScreeningFailure]] = field(default_factory=list)
    tried: list[Sources] = field(default_factory=list)
    accept: Any = nothing_refused
    block_threshold: int | None = None
    lists: RuntimeLists = EMPTY
    _releases: dict[Role, Release] = field(default_factory=dict)
    _versions: dict[str, Version] = field(default_factory=dict)

    def __post_init__(self) -> None:
        gates = Gates(
            self.accept,
            lambda role, failure: self.alarms.append((role, failure)),
            block_threshold=self.block_threshold,
            trial=lambda what, _: self.tried.append(what),
        )
        self.rulesets = Rulesets(gates)
        self.screening = Screening(self.rulesets, lambda: self.lists)

    def put(self, role: Role, what: Sources, percent: int = 100, *, kept: bool = True) -> list[TakenUp | Refused]:
        """Releases sources in a role, and obeys."""
        version = released_version(what)
        return self.release(role, version.hash, percent, version if kept else None)

    def end(self, role: Role) -> list[TakenUp | Refused]:
        """Ends a role, and obeys."""
        del self._releases[role]
        return self.rulesets.obey(self._releases, self._versions)

    def release(self, role: Role, version_hash: str, percent: int, version: Version | None) -> list[TakenUp | Refused]:
        """Releases a version in a role, and obeys."""
        if version is not None:
            self._versions[version_hash] = version
        number = 1 + max((one.number for one in self._releases.values()), default=0)
        self._releases[role] = Release(number, role, version_hash, percent, "ada", "because", None, NOW)
        return self.rulesets.obey(self._releases, self._versions)

    def decide(
        self,
        payment: Payment | None = None,
        counted: Counted | None = None,
        *,
        can_hold: bool = True,
        can_challenge: bool = True,
        **changes: Any,
    ) -> tuple[Payment, FraudDecision]:
        """Screens a payment."""
        payment = payment or make_payment(**changes)
        _, screen = self.screening.prepare(payment, None, "UTC", "", can_hold=can_hold, can_challenge=can_challenge)
        return screen(counted or {})
