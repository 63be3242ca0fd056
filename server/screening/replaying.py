"""Decides stored decisions once more, by the very version that made them. Called by `usecases.replay_decisions`."""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from fraud_rules import Backend, Decision, Facts, RulesError, Ruleset, load_sources
from server.domain.payment import FraudDecision, FraudOutcome, ShadowDecision
from server.domain.rulesets import Version
from server.screening.feasible import feasible
from server.screening.gates import sources_of
from server.screening.shadow import facts_of_shadow

_LOADED = 8
"""Versions that stay loaded; decisions come in the order of time, so they rarely change."""

_CHALLENGED = ("credit_card", "debit_card")
"""The methods that know 3-D Secure; a challenge of another one was turned into a review."""

ReadVersion = Callable[[str], Version | None]
"""Finds a version by its hash."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was not decided again as it was.

    Attributes:
        backend: Who decided now; empty where nobody could.
        field: A field of the decision, or `version` where its ruleset cannot be had.
        shadow: The hash of the ruleset in shadow whose decision it is; empty: the one that the payment's life followed.
    """

    backend: str
    field: str
    stored: str
    replayed: str
    shadow: str = ""


class Replaying:
    """Replays by both back ends, whichever decided then. Close it: it holds loaded versions."""

    def __init__(self, read_version: ReadVersion) -> None:
        self._read_version = read_version
        self._loaded: dict[str, tuple[Ruleset, Ruleset]] = {}

    def differences(self, stored: FraudDecision, *, could_not_wait: bool) -> list[Difference]:
        """Compares everything that was stored with what is decided now; empty: they are the same, bit for bit.

        Args:
            could_not_wait: What asked for a review was turned into a block, since the funds could not be held.
        """

        def compare(replayed: Decision) -> Iterator[Difference]:
            can_challenge = stored.facts.get("method") in _CHALLENGED
            decided = FraudOutcome(replayed.outcome.value)
            outcome = feasible(decided, can_hold=not could_not_wait, can_challenge=can_challenge)
            yield from _compare(stored, outcome, replayed)
            if stored.snoozed != replayed.snoozed:
                then, now = str(list(stored.snoozed)), str(list(replayed.snoozed))
                yield Difference(replayed.backend.value, "snoozed_rules", then, now)
            yield from _compare_facts(stored.facts, replayed)

        return self._differences(stored.ruleset, stored.facts, compare, frozenset(stored.snoozed))

    def shadow_differences(self, stored: FraudDecision, shadow: ShadowDecision) -> list[Difference]:
        """Compares what a shadow ruleset said beside a decision with what it says now, as `differences` does."""
        facts = facts_of_shadow(stored.facts, shadow)

        def compare(replayed: Decision) -> Iterator[Difference]:
            yield from _compare(shadow, FraudOutcome(replayed.outcome.value), replayed)
            yield from _compare_facts(facts, replayed)

        found = self._differences(shadow.ruleset, facts, compare)
        return [replace(one, shadow=shadow.ruleset) for one in found]

    def _differences(
        self,
        version: str,
        facts: Facts,
        compare: Callable[[Decision], Iterator[Difference]],
        snoozed: Set[str] = frozenset(),
    ) -> list[Difference]:
        try:
            pair = self._rulesets(version)
        except RulesError as error:
            return [Difference("", "version", version, "; ".join(map(str, error.problems)))]
        if pair is None:
            return [Difference("", "version", version, "not kept")]
        return [one for ruleset in pair for one in compare(ruleset.decide(facts, snoozed=snoozed))]

    def close(self) -> None:
        """Releases every loaded version."""
        for engine, _ in self._loaded.values():
            engine.close()
        self._loaded.clear()

    def _rulesets(self, version_hash: str) -> tuple[Ruleset, Ruleset] | None:
        """Returns the version with the engine, and once more with the evaluator alone."""
        if version_hash not in self._loaded:
            version = self._read_version(version_hash)
            if version is None:
                return None
            if len(self._loaded) >= _LOADED:
                oldest, _ = self._loaded.pop(next(iter(self._loaded)))
                oldest.close()
            sources = sources_of(version)
            stand_in = load_sources(sources)
            stand_in.close()
            self._loaded[version_hash] = load_sources(sources), stand_in
        return self._loaded[version_hash]


def replayable(stored: FraudDecision) -> bool:
    """Says whether rules decided at all: where screening itself had failed there is nothing to repeat."""
    return stored.backend != Backend.NOBODY.value


def shadow_replayable(shadow: ShadowDecision) -> bool:
    """Says whether a shadow's facts were kept, and its rules decided."""
    return shadow.facts is not None and shadow.backend != Backend.NOBODY.value


def _compare(stored: FraudDecision | ShadowDecision, outcome: FraudOutcome, replayed: Decision) -> Iterator[Difference]:
    pairs = {
        "ruleset": (stored.ruleset, replayed.ruleset_hash),
        "outcome": (stored.outcome.value, outcome.value),
        "score": (stored.score_thousandths, replayed.score_thousandths),
        "rules": (list(stored.rules), list(replayed.fired)),
        "shadow_rules": (list(stored.shadow_rules), list(replayed.shadow_fired)),
    }
    for field, (then, now) in pairs.items():
        if then != now:
            yield Difference(replayed.backend.value, field, str(then), str(now))


def _compare_facts(then: Mapping[str, object], replayed: Decision) -> Iterator[Difference]:
    now = replayed.facts
    for name in sorted(then.keys() | now.keys()):
        # True equals 1 in Python, and is another fact.
        if repr(then.get(name)) != repr(now.get(name)):
            yield Difference(replayed.backend.value, f"facts.{name}", repr(then.get(name)), repr(now.get(name)))
