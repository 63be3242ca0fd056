"""Decides payments by the ruleset in force. Called by `usecases.create_payment` inside the opening transaction."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from fraud_rules import Decision, Function, Problem, Rejected, Reloaded, Ruleset, RulesetHolder, VelocityFact
from server.domain.card import Card
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.payment import FraudDecision, FraudOutcome, Payment
from server.domain.states import Event, next_state
from server.domain.velocity import Counted, Velocity
from server.screening.facts import facts_of
from server.screening.feasible import feasible

_log = logging.getLogger(__name__)

Servable = Callable[[Velocity], bool]
Screen = Callable[[Counted], tuple[Payment, FraudDecision]]


class Screening:
    """Decides with the ruleset that the holder has in force."""

    def __init__(self, holder: RulesetHolder) -> None:
        self._holder = holder

    def prepare(  # noqa: PLR0913 - the payment, and what can be done with it
        self,
        payment: Payment,
        card: Card | None,
        time_zone: str,
        card_fingerprint: str,
        *,
        can_hold: bool,
        can_challenge: bool,
    ) -> tuple[tuple[Velocity, ...], Screen]:
        """Returns the numbers to be counted, and what decides the payment with them.

        Args:
            card: The raw card; None where a token or another method stands for it.
            time_zone: IANA name of the merchant's zone.
            can_hold, can_challenge: As for `feasible`.

        Both belong to one ruleset, also when another is swapped in between. The second does no I/O and returns the
        payment, FAILED where it is blocked, and why.
        """
        ruleset = self._holder.ruleset
        velocity = _velocity(ruleset.velocity)

        def screen(counted: Counted) -> tuple[Payment, FraudDecision]:
            facts = facts_of(payment, card, time_zone, card_fingerprint)
            decision = ruleset.decide({**facts, **_numbers(ruleset, counted)})
            return _apply(payment, decision, can_hold, can_challenge)

        return velocity, screen

    def refresh(self) -> None:
        """Takes up changed rule files; a bad one leaves the old in force and is logged with every problem."""
        changed = self._holder.refresh()
        match changed:
            case None:
                return
            case Rejected(problems=problems):
                for problem in problems:
                    _log.error("rules not taken up: %s", problem)
            case Reloaded(old_hash=old, new_hash=new):
                _log.info("rules taken up: %s after %s", new[:12], old[:12])


def refuse_unservable(servable: Servable) -> Callable[[Ruleset], Sequence[Problem]]:
    """Makes the holder's veto: rules that ask for numbers which storage does not count never come into force."""

    def problems(ruleset: Ruleset) -> list[Problem]:
        return [
            Problem(
                ruleset.name, 1, 1, f"this server cannot count {one.name}", "see storage/velocity.py for what it can"
            )
            for one in _velocity(ruleset.velocity)
            if not servable(one)
        ]

    return problems


@lru_cache(maxsize=8)
def _velocity(asked: tuple[VelocityFact, ...]) -> tuple[Velocity, ...]:
    return tuple(Velocity(one.name, one.function.value, one.over, one.by, one.within_seconds) for one in asked)


def _numbers(ruleset: Ruleset, counted: Counted) -> dict[str, int]:
    """Sums come by currency and become US cents; one with a currency that has no rate stays unknown."""
    numbers = {name: value for name, value in counted.items() if isinstance(value, int)}
    for fact in ruleset.velocity:
        by_currency = counted.get(fact.name)
        if fact.function is Function.SUM and isinstance(by_currency, Mapping):
            cents = [ruleset.rates.to_usd_cents(amount, currency) for currency, amount in by_currency.items()]
            if None not in cents:
                numbers[fact.name] = sum(one for one in cents if one is not None)
    return numbers


def _apply(payment: Payment, decision: Decision, can_hold: bool, can_challenge: bool) -> tuple[Payment, FraudDecision]:
    decided = FraudOutcome(decision.outcome.value)
    outcome = feasible(decided, can_hold=can_hold, can_challenge=can_challenge)
    failure = None
    if outcome is FraudOutcome.BLOCK:
        blocked = decided is FraudOutcome.BLOCK
        failure = _refusal(DeclineCode.FRAUD_BLOCKED if blocked else DeclineCode.REVIEW_NOT_POSSIBLE)
    stored = FraudDecision(
        outcome,
        decision.score_thousandths,
        decision.fired,
        decision.shadow_fired,
        decision.ruleset_hash,
        dict(decision.facts),
    )
    if failure is None:
        return replace(payment, fraud=stored), stored
    state = next_state(payment.state, Event.DECLINED)
    return replace(payment, state=state, failure=failure, fraud=stored), stored


def _refusal(code: DeclineCode) -> Failure:
    return Failure(code, "The payment was refused by fraud screening; nothing was charged.", Advice.DO_NOT_RETRY)
