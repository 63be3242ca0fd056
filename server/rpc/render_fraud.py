"""Reviews, decisions, lists and statistics as the wire shows them. Called by `rpc.fraud_service`."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from kassa.v1 import fraud_service_pb2 as pb

from server.domain.card import holds_card_number
from server.domain.ids import Prefix, render_id
from server.domain.label import Label, LabelSource, PaymentLabel
from server.domain.list_entry import EVERY_MERCHANT, ListEntry
from server.domain.payment import FraudDecision, FraudOutcome, ShadowDecision
from server.domain.review import ReviewNote, ReviewState, Through, Verdict
from server.domain.review_case import Decided, ReviewCase
from server.domain.rulesets import Role
from server.domain.snooze import Snooze
from server.rpc.render import render_decision, render_payment, render_time
from server.rpc.vocabulary import to_wire
from server.storage.rule_statistics import RuleCount, ShadowCount, Statistics

_STATES = to_wire(ReviewState, pb.Review.State)
_VERDICTS = to_wire(Verdict, pb.Review.Verdict)
_THROUGH = to_wire(Through, pb.Review.Through)
_LABELS = to_wire(Label, pb.PaymentLabel.Label)
_SOURCES = to_wire(LabelSource, pb.PaymentLabel.Source)
_ROLES = {role: pb.Decision.Role.Value(role.value) for role in (Role.LIVE, Role.CANDIDATE)}
_BACKENDS = {"": pb.Decision.BACKEND_UNSPECIFIED} | {
    name.lower(): value for name, value in pb.Decision.Backend.items() if value != pb.Decision.BACKEND_UNSPECIFIED
}
HIDDEN = "[a card number]"
"""Stands where a fact, such as a description of the merchant's, holds a card number."""


def render_review(case: ReviewCase, now: datetime, *, whole: bool = True) -> pb.Review:
    """Shows a review.

    Args:
        now: At which a claim may have lapsed.
        whole: With its notes, and with the facts of its decision.
    """
    review = case.review
    claimant = review.claimant(now)
    return pb.Review(
        payment=render_payment(case.payment),
        state=_STATES[review.state],
        deadline=render_time(review.deadline),
        default_verdict=_VERDICTS[review.default_verdict],
        claimed_by=claimant,
        claimed_until=_time(review.claimed_until) if claimant else None,
        decided_by=review.decided_by,
        decided_through=_THROUGH[review.decided_through] if review.decided_through else pb.Review.THROUGH_UNSPECIFIED,
        reason=review.reason,
        created_at=render_time(review.created_at),
        closed_at=_time(review.closed_at),
        notes=[_note(note) for note in case.notes],
        decision=render_decided(case.decided, facts=whole),
    )


def render_decided(decided: Decided, *, facts: bool = True) -> pb.Decision:
    """Shows what the rules decided, and what they saw."""
    seen = sorted(decided.decision.facts.items()) if facts else []
    return pb.Decision(
        payment_id=render_id(Prefix.PAYMENT, decided.payment_id),
        merchant_id=render_id(Prefix.MERCHANT, decided.merchant_id),
        decision=render_decision(decided.decision),
        shadow_rules=decided.decision.shadow_rules,
        facts=[_fact(name, value) for name, value in seen],
        label=None if decided.label is None else render_label(decided.label),
        created_at=render_time(decided.created_at),
        role=_ROLES[decided.decision.role],
        backend=_BACKENDS[decided.decision.backend],
        shadows=[_shadow(shadow) for shadow in decided.decision.shadows],
        snoozed_rules=decided.decision.snoozed,
    )


def render_label(label: PaymentLabel) -> pb.PaymentLabel:
    """Shows what a payment turned out to be."""
    return pb.PaymentLabel(
        payment_id=render_id(Prefix.PAYMENT, label.payment_id),
        label=_LABELS[label.label],
        source=_SOURCES[label.source],
        analyst=label.author,
        note=label.note,
        created_at=_time(label.created_at),
    )


def render_list_entry(entry: ListEntry) -> pb.ListEntry:
    """Shows a value on a list."""
    for_all = entry.merchant_id == EVERY_MERCHANT
    return pb.ListEntry(
        id=render_id(Prefix.LIST_ENTRY, entry.id),
        merchant_id="" if for_all else render_id(Prefix.MERCHANT, entry.merchant_id),
        list_name=entry.list_name,
        value=entry.value,
        author=entry.author,
        reason=entry.reason,
        created_at=render_time(entry.created_at),
        expires_at=_time(entry.expires_at),
        removed_at=_time(entry.removed_at),
        removed_by=entry.removed_by,
    )


def render_snooze(snooze: Snooze) -> pb.RuleSnooze:
    """Shows a rule that is silent for a time."""
    return pb.RuleSnooze(
        id=render_id(Prefix.SNOOZE, snooze.id),
        rule=snooze.rule,
        author=snooze.author,
        reason=snooze.reason,
        created_at=render_time(snooze.created_at),
        expires_at=render_time(snooze.expires_at),
        ended_at=_time(snooze.ended_at),
        ended_by=snooze.ended_by,
    )


def render_statistics(statistics: Statistics) -> pb.RuleStatistics:
    """Shows what rules did."""
    return pb.RuleStatistics(
        created_after=render_time(statistics.created_after),
        created_before=render_time(statistics.created_before),
        decisions=statistics.decisions,
        fraud=statistics.fraud,
        legit=statistics.legit,
        rules=[_rule(rule) for rule in statistics.rules],
        shadow_rulesets=[_shadow_ruleset(shadow) for shadow in statistics.shadows],
    )


def _shadow(shadow: ShadowDecision) -> pb.ShadowDecision:
    decision = FraudDecision(shadow.outcome, shadow.score_thousandths, shadow.rules, (), shadow.ruleset, {})
    return pb.ShadowDecision(decision=render_decision(decision))


def _shadow_ruleset(shadow: ShadowCount) -> pb.RuleStatistics.ShadowRuleset:
    return pb.RuleStatistics.ShadowRuleset(
        ruleset=shadow.ruleset,
        decisions=shadow.decisions,
        allowed=shadow.outcomes[FraudOutcome.ALLOW],
        challenged=shadow.outcomes[FraudOutcome.CHALLENGE],
        reviewed=shadow.outcomes[FraudOutcome.REVIEW],
        blocked=shadow.outcomes[FraudOutcome.BLOCK],
        differing=shadow.differing,
        fraud=shadow.fraud,
        legit=shadow.legit,
        blocked_fraud=shadow.blocked_fraud,
        blocked_legit=shadow.blocked_legit,
        rules=[_rule(rule) for rule in shadow.rules],
    )


def _rule(rule: RuleCount) -> pb.RuleStatistics.Rule:
    return pb.RuleStatistics.Rule(
        rule=rule.rule,
        shadow=rule.shadow,
        fired=rule.fired,
        allowed=rule.outcomes[FraudOutcome.ALLOW],
        challenged=rule.outcomes[FraudOutcome.CHALLENGE],
        reviewed=rule.outcomes[FraudOutcome.REVIEW],
        blocked=rule.outcomes[FraudOutcome.BLOCK],
        captured=[
            pb.RuleStatistics.Money(currency=currency, amount=amount)
            for currency, amount in sorted(rule.captured.items())
        ],
        fraud=rule.fraud,
        legit=rule.legit,
        snoozed=rule.snoozed,
    )


def _fact(name: str, value: str | int | bool) -> pb.Fact:
    if isinstance(value, bool):
        return pb.Fact(name=name, flag=value)
    if isinstance(value, int):
        return pb.Fact(name=name, number=value)
    return pb.Fact(name=name, text=HIDDEN if holds_card_number(value) else value)


def _note(note: ReviewNote) -> pb.ReviewNote:
    return pb.ReviewNote(author=note.author, text=note.text, created_at=render_time(note.created_at))


def _time(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else render_time(moment)
