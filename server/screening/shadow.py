"""Runs a shadow ruleset after the decision was made; whatever it does, the decision stands. Called by `screen`."""

from collections.abc import Callable, Mapping
from time import thread_time

from fraud_rules import Decision, Ruleset, ScreeningFailure
from server.domain.payment import FraudOutcome, ShadowDecision
from server.domain.rulesets import Role
from server.screening.gates import Alarm

BUDGET_S = 0.005
"""CPU seconds that one payment may cost in shadow; payments of the same batch wait for it."""
_PATIENCE = 3
# `decide` raises nothing; this is for what nobody thought of. The payment must not fail with it.
_FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


class Shadow:
    """One shadow ruleset. It is left out from then on when it was too slow for three payments in a row."""

    def __init__(self, ruleset: Ruleset, alarm: Alarm) -> None:
        self.ruleset, self._alarm = ruleset, alarm
        self._overruns = 0

    def decide(
        self, decide: Callable[[Ruleset], Decision], seen: Mapping[str, str | int | bool]
    ) -> tuple[ShadowDecision, ...]:
        """Says what it would have decided; nothing where it fails or is left out.

        Args:
            seen: The facts of the decision beside it, which are not stored twice.
        """
        if self._overruns >= _PATIENCE:
            return ()
        began = thread_time()
        try:
            decision = decide(self.ruleset)
        except _FAILURES as error:
            self._report(type(error).__name__)
            return ()
        self._watch(thread_time() - began)
        return (_recorded(decision, seen),)

    def _watch(self, took_s: float) -> None:
        self._overruns = self._overruns + 1 if took_s > BUDGET_S else 0
        if self._overruns == _PATIENCE:
            self._report(f"took {took_s * 1000:.0f} ms and is left out until the next release")

    def _report(self, detail: str) -> None:
        self._alarm(Role.SHADOW, ScreeningFailure("shadow", self.ruleset.hash, detail))


def facts_of_shadow(seen: Mapping[str, str | int | bool], shadow: ShadowDecision) -> dict[str, str | int | bool]:
    """Returns all that a shadow saw whose facts were kept: `seen` but for what it saw otherwise, or not at all."""
    return {name: value for name, value in seen.items() if name not in shadow.without} | dict(shadow.facts or {})


def _recorded(decision: Decision, seen: Mapping[str, str | int | bool]) -> ShadowDecision:
    # A truth equals 1 in Python, and is another fact.
    alike = {
        name
        for name, value in decision.facts.items()
        if name in seen and seen[name] == value and type(seen[name]) is type(value)
    }
    return ShadowDecision(
        decision.ruleset_hash,
        FraudOutcome(decision.outcome.value),
        decision.score_thousandths,
        decision.fired,
        decision.shadow_fired,
        decision.backend.value,
        {name: value for name, value in decision.facts.items() if name not in alike},
        tuple(name for name in seen if name not in decision.facts),
    )
