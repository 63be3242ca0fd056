"""Decides payments by the ruleset in force. Called by `usecases.create_payment` inside the opening transaction."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from fraud_rules import EMPTY, Decision, Facts, Function, Problem, Ruleset, RuntimeLists, VelocityFact
from fraud_rules.facts import MAX_INTEGER
from fraud_rules.share import in_share
from server.domain.card import Card
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.payment import FraudDecision, FraudOutcome, Payment
from server.domain.rulesets import Role
from server.domain.states import Event, next_state
from server.domain.velocity import Counted, Spent, Velocity
from server.screening.facts import facts_of
from server.screening.feasible import feasible
from server.screening.history import customer_facts, customer_questions
from server.screening.lookups import NO_TABLES, Tables
from server.screening.rulesets import Lineup, Rulesets
from server.screening.shadow import Shadow

Servable = Callable[[Velocity], bool]
Snoozed = Callable[[datetime], Set[str]]
"""The ids of the rules that are silent at a moment."""
Screen = Callable[[Counted], tuple[Payment, FraudDecision]]


class Screening:
    """Decides with the rulesets in force: live or candidate, and after that the shadow."""

    def __init__(
        self,
        rulesets: Rulesets,
        lists: Callable[[], RuntimeLists] = lambda: EMPTY,
        tables: Tables = NO_TABLES,
        snoozed: Snoozed = lambda _: frozenset(),
    ) -> None:
        """Takes the rulesets, the entries of lists right now, where cards are looked up, and what is snoozed."""
        self._rulesets, self._lists, self._tables, self._snoozed = rulesets, lists, tables, snoozed
        self._questions_of: tuple[Lineup, tuple[Velocity, ...]] | None = None

    def prepare(  # noqa: PLR0913 - all that a payment's facts are made of, each named
        self, payment: Payment, card: Card | None, time_zone: str, card_fingerprint: str, *, can_hold: bool,
        can_challenge: bool = True, merchant_since: datetime | None = None,
    ) -> tuple[tuple[Velocity, ...], Screen]:  # fmt: skip
        """Returns the numbers to be counted, and what decides the payment with them.

        Args:
            card: The raw card; None where a token or another method stands for it.
            time_zone: IANA name of the merchant's zone.
            can_hold, can_challenge: As for `feasible`.
            merchant_since: When the merchant was registered; None where that is not known.

        Both belong to the same rulesets, also when others are swapped in between. The second does no I/O and returns
        the payment, FAILED where it is blocked, and why.
        """
        lineup, lists, snoozed = self._rulesets.lineup, self._lists(), self._snoozed(payment.created_at)

        def screen(counted: Counted) -> tuple[Payment, FraudDecision]:
            facts = facts_of(payment, card, time_zone, card_fingerprint, merchant_since, self._tables)

            def decide(ruleset: Ruleset, silent: Set[str] = frozenset()) -> Decision:
                return ruleset.decide({**facts, **_numbers(ruleset, counted)}, lists, payment.created_at, silent)

            role, ruleset = _who_decides(lineup, facts)
            decided = _apply(payment, decide(ruleset, snoozed), role, can_hold, can_challenge)
            return decided if lineup.shadow is None else _beside(*decided, lineup.shadow, decide)

        return self._questions(lineup), screen

    def _questions(self, lineup: Lineup) -> tuple[Velocity, ...]:
        """Returns what all rulesets ask of the past, each number once, so that one statement reads it."""
        if self._questions_of is None or self._questions_of[0] is not lineup:
            asked = {one.name: one for ruleset in lineup.rulesets for one in _velocity(ruleset)}
            self._questions_of = lineup, tuple(asked.values())
        return self._questions_of[1]


def _who_decides(lineup: Lineup, facts: Facts) -> tuple[Role, Ruleset]:
    """Chooses the candidate for its share of the customers: always the same ones for the same candidate."""
    candidate = lineup.candidate
    if candidate is not None and in_share(candidate.key, facts, candidate.percent):
        return Role.CANDIDATE, candidate.ruleset
    return Role.LIVE, lineup.live


def _beside(
    payment: Payment, decision: FraudDecision, shadow: Shadow, decide: Callable[[Ruleset], Decision]
) -> tuple[Payment, FraudDecision]:
    """Records what the shadow ruleset says of a payment that is decided already."""
    noted = replace(decision, shadows=shadow.decide(decide, decision.facts))
    return replace(payment, fraud=noted), noted


def refuse_unservable(servable: Servable) -> Callable[[Ruleset], Sequence[Problem]]:
    """Makes the servers' veto: rules that ask for numbers which storage does not count never come into force."""

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
    return tuple(
        Velocity(one.name, one.function.value, one.over, one.by, one.within_seconds, one.platform) for one in velocity
    )


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


def _apply(
    payment: Payment, decision: Decision, role: Role, can_hold: bool, can_challenge: bool
) -> tuple[Payment, FraudDecision]:
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
        decision.backend.value,
        role,
        snoozed=decision.snoozed,
    )
    if failure is None:
        return replace(payment, fraud=stored), stored
    state = next_state(payment.state, Event.DECLINED)
    return replace(payment, state=state, failure=failure, fraud=stored), stored


def _refusal(code: DeclineCode) -> Failure:
    return Failure(code, "The payment was refused by fraud screening; nothing was charged.", Advice.DO_NOT_RETRY)
