"""Decides payments by the ruleset in force. Called by `usecases.create_payment` inside the opening transaction."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from fraud_rules import Decision, Function, Problem, Rejected, Reloaded, Ruleset, RulesetHolder, VelocityFact
from fraud_rules.facts import MAX_INTEGER
from server.domain.card import Card
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.payment import FraudDecision, FraudOutcome, Payment
from server.domain.states import Event, next_state
from server.domain.velocity import Counted, Spent, Velocity
from server.screening.facts import facts_of
from server.screening.history import customer_facts, customer_questions
from server.screening.lookups import NO_TABLES, Tables

_log = logging.getLogger(__name__)

Servable = Callable[[Velocity], bool]
Screen = Callable[[Counted], tuple[Payment, FraudDecision]]


class Screening:
    """Decides with the ruleset that the holder has in force."""

    def __init__(self, holder: RulesetHolder, tables: Tables = NO_TABLES) -> None:
        self._holder, self._tables = holder, tables

    def prepare(  # noqa: PLR0913 - all that a payment's facts are made of, each named
        self, payment: Payment, card: Card | None, time_zone: str, card_fingerprint: str, *, can_hold: bool,
        merchant_since: datetime | None = None,
    ) -> tuple[tuple[Velocity, ...], Screen]:  # fmt: skip
        """Returns the numbers to be counted, and what decides the payment with them.

        Args:
            card: The raw card; None where a token or another method stands for it.
            time_zone: IANA name of the merchant's zone.
            merchant_since: When the merchant was registered; None where that is not known.
            can_hold: Whether the method's funds can be held, so that a review is possible.

        Both belong to one ruleset, also when another is swapped in between. The second does no I/O and returns the
        payment, FAILED where it is blocked, and why.
        """
        ruleset = self._holder.ruleset
        velocity = _velocity(ruleset)

        def screen(counted: Counted) -> tuple[Payment, FraudDecision]:
            facts = facts_of(payment, card, time_zone, card_fingerprint, merchant_since, self._tables)
            decision = ruleset.decide({**facts, **_numbers(ruleset, counted)})
            return _apply(payment, decision, can_hold)

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
            for one in _velocity(ruleset)
            if not servable(one)
        ]

    return problems


def _velocity(ruleset: Ruleset) -> tuple[Velocity, ...]:
    return customer_questions(ruleset.asked) + _asked(ruleset.velocity)


@lru_cache(maxsize=8)
def _asked(velocity: tuple[VelocityFact, ...]) -> tuple[Velocity, ...]:
    return tuple(Velocity(one.name, one.function.value, one.over, one.by, one.within_seconds) for one in velocity)


def _numbers(ruleset: Ruleset, counted: Counted) -> dict[str, int | bool | str]:
    """What was counted, as facts; one with a currency that has no rate stays unknown."""
    numbers: dict[str, int | bool | str] = customer_facts(ruleset.asked, counted)
    for fact in ruleset.velocity:
        match counted.get(fact.name):
            case None:
                continue
            case int() | str() as number:
                numbers[fact.name] = number
            case spent:
                cents = _us_cents(ruleset, fact, spent)
                if cents is not None:
                    numbers[fact.name] = cents
    return numbers


def _us_cents(ruleset: Ruleset, fact: VelocityFact, spent: Mapping[str, Spent]) -> int | None:
    """Converts each currency's sum; an average is rounded half up, and there is none of nothing."""
    cents = [ruleset.rates.to_usd_cents(one.amount, currency) for currency, one in spent.items()]
    if None in cents:
        return None
    total = sum(one for one in cents if one is not None)
    if fact.function is Function.SUM:
        return min(total, MAX_INTEGER)
    payments = sum(one.payments for one in spent.values())
    return (2 * total + payments) // (2 * payments) if payments else None


def _apply(payment: Payment, decision: Decision, can_hold: bool) -> tuple[Payment, FraudDecision]:
    outcome = FraudOutcome(decision.outcome.value)
    failure = None
    if outcome is FraudOutcome.BLOCK:
        failure = _refusal(DeclineCode.FRAUD_BLOCKED)
    elif outcome is FraudOutcome.REVIEW and not can_hold:
        # Funds that cannot be held cannot wait for an analyst.
        outcome, failure = FraudOutcome.BLOCK, _refusal(DeclineCode.REVIEW_NOT_POSSIBLE)
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
