"""Runs a shadow ruleset after the decision was made; whatever it does, the decision stands. Called by `screen`."""

from collections.abc import Callable
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

    def decide(self, decide: Callable[[Ruleset], Decision]) -> tuple[ShadowDecision, ...]:
        """Says what it would have decided; nothing where it fails or is left out."""
        if self._overruns >= _PATIENCE:
            return ()
        began = thread_time()
        try:
            decision = decide(self.ruleset)
        except _FAILURES as error:
            self._report(type(error).__name__)
            return ()
        self._watch(thread_time() - began)
        return (_recorded(decision),)

    def _watch(self, took_s: float) -> None:
        self._overruns = self._overruns + 1 if took_s > BUDGET_S else 0
        if self._overruns == _PATIENCE:
            self._report(f"took {took_s * 1000:.0f} ms and is left out until the next release")

    def _report(self, detail: str) -> None:
        self._alarm(Role.SHADOW, ScreeningFailure("shadow", self.ruleset.hash, detail))


def _recorded(decision: Decision) -> ShadowDecision:
    outcome = FraudOutcome(decision.outcome.value)
    return ShadowDecision(decision.ruleset_hash, outcome, decision.score_thousandths, decision.fired)
