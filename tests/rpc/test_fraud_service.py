"""FraudService over a real server: who sees what, what is refused before anything happens, and how things look."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kassa.v1 import fraud_service_pb2 as pb
from kassa.v1 import payment_service_pb2 as payment_pb

from fraud_rules.decision import Backend
from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, new_id, render_id
from server.domain.label import Label, LabelSource, PaymentLabel
from server.domain.list_entry import EVERY_MERCHANT, ListEntry, NewListEntry
from server.domain.payment import FraudDecision, FraudOutcome, ShadowDecision, State
from server.domain.review import Review, ReviewNote, ReviewState, Ruling, Through, Verdict
from server.domain.review_case import Decided, ReviewCase
from server.domain.rulesets import Role
from server.domain.snooze import NewSnooze, Snooze
from server.storage.decision_reads import DecisionFilter
from server.storage.list_entries import ListEntryFilter
from server.storage.review_reads import ReviewFilter
from server.storage.rule_statistics import RuleCount, ShadowCount, Statistics
from server.storage.snoozes import SnoozeFilter
from server.usecases.answers import Answer, Page
from tests.factories import make_payment
from tests.rpc.conftest import MERCHANT, MERCHANT_KEY, PLATFORM_KEY, Stack, refused

OWN = (("authorization", f"Bearer {MERCHANT_KEY}"), ("idempotency-key", "decide-1"))
PLATFORM = (("authorization", f"Bearer {PLATFORM_KEY}"), ("idempotency-key", "decide-1"))
OTHER = uuid4()
AT = datetime(2026, 1, 2, tzinfo=UTC)
CARD = "4242 4242 4242 4242"
FACTS = {"amount": 1999, "cvc_given": True, "description": f"paid by {CARD}", "card": "a1b2"}
DECISION = FraudDecision(FraudOutcome.REVIEW, 700, ("many_cards",), ("new_rule",), "hash", FACTS)
PAYMENT = new_id()
ID = render_id(Prefix.PAYMENT, PAYMENT)


def case(**changes: Any) -> ReviewCase:
    payment = make_payment(id=PAYMENT, merchant_id=MERCHANT.merchant_id, state=State.IN_REVIEW, fraud=DECISION)
    facts: dict[str, Any] = {
        "merchant_id": payment.merchant_id, "payment_id": PAYMENT, "state": ReviewState.OPEN,
        "deadline": AT + timedelta(hours=24), "default_verdict": Verdict.REJECT, "created_at": AT,
    }  # fmt: skip
    decided = Decided(payment.merchant_id, PAYMENT, DECISION, None, AT)
    return ReviewCase(Review(**(facts | changes)), payment, decided, (ReviewNote("Ada", "Calls back.", AT),))


async def test_a_review_shows_payment_facts_and_notes(rpc: Stack) -> None:
    rpc.use_cases["desk.get"].answer = case()
    shown = await rpc.fraud.GetReview(pb.GetReviewRequest(payment_id=ID), metadata=OWN)
    assert (shown.payment.id, shown.payment.state) == (ID, payment_pb.Payment.IN_REVIEW)
    assert (shown.state, shown.default_verdict) == (pb.Review.OPEN, pb.Review.REJECT)
    assert shown.deadline.ToDatetime(UTC) == AT + timedelta(hours=24)
    assert [(note.author, note.text) for note in shown.notes] == [("Ada", "Calls back.")]
    assert shown.decision.decision.rules == ["many_cards"] and shown.decision.shadow_rules == ["new_rule"]
    facts = {fact.name: getattr(fact, fact.WhichOneof("value")) for fact in shown.decision.facts}
    assert facts == {"amount": 1999, "cvc_given": True, "description": "[a card number]", "card": "a1b2"}
    assert not shown.HasField("closed_at") and not shown.HasField("claimed_until")
    assert "4242 4242" not in str(shown)


async def test_a_claim_that_has_lapsed_is_not_shown(rpc: Stack) -> None:
    for left, name in ((timedelta(hours=1), "Ada"), (timedelta(hours=-1), "")):
        until = datetime.now(UTC) + left
        rpc.use_cases["desk.get"].answer = case(claimed_by="Ada", claimed_until=until)
        shown = await rpc.fraud.GetReview(pb.GetReviewRequest(payment_id=ID), metadata=OWN)
        assert (shown.claimed_by, shown.HasField("claimed_until")) == (name, bool(name))


async def test_a_list_leaves_facts_out_and_passes_filters_on(rpc: Stack) -> None:
    rpc.use_cases["desk.list"].answer = Page((case(),), "next")
    request = pb.ListReviewsRequest(state=pb.Review.OPEN, claimed_by="Ada", page_size=7, page_token="token")
    page = await rpc.fraud.ListReviews(request, metadata=OWN)
    assert page.next_page_token == "next"
    assert (page.reviews[0].payment.id, len(page.reviews[0].decision.facts)) == (ID, 0)
    wanted = ReviewFilter(MERCHANT.merchant_id, ReviewState.OPEN, "Ada")
    assert rpc.use_cases["desk.list"].calls == [(wanted, 7, "token")]


@pytest.mark.parametrize(("metadata", "owner"), [(OWN, MERCHANT.merchant_id), (PLATFORM, None)])
async def test_every_call_is_about_what_is_the_callers_own_and_the_platform_sees_all(
    rpc: Stack, metadata: Any, owner: UUID | None
) -> None:
    for name in ("get", "claim", "release", "add_note"):
        rpc.use_cases[f"desk.{name}"].answer = case()
    rpc.use_cases["decide_review"].answer = Answer(case(), replayed=True)
    who = {"payment_id": ID, "analyst": "Ada"}
    await rpc.fraud.GetReview(pb.GetReviewRequest(payment_id=ID), metadata=metadata)
    await rpc.fraud.ClaimReview(pb.ClaimReviewRequest(**who), metadata=metadata)
    await rpc.fraud.ReleaseReview(pb.ReleaseReviewRequest(**who), metadata=metadata)
    await rpc.fraud.AddReviewNote(pb.AddReviewNoteRequest(**who, text="Calls back."), metadata=metadata)
    approving = rpc.fraud.ApproveReview(pb.ApproveReviewRequest(**who, reason="A regular."), metadata=metadata)
    assert dict(await approving.initial_metadata())["idempotent-replayed"] == "true"
    await approving
    await rpc.fraud.RejectReview(pb.RejectReviewRequest(**who), metadata=metadata)
    assert rpc.use_cases["desk.get"].calls == [(owner, PAYMENT)]
    assert rpc.use_cases["desk.claim"].calls == rpc.use_cases["desk.release"].calls == [(owner, PAYMENT, "Ada")]
    assert rpc.use_cases["desk.add_note"].calls == [(owner, PAYMENT, "Ada", "Calls back.")]
    approve, reject = rpc.use_cases["decide_review"].calls
    assert approve[:4] == (
        owner,
        "decide-1",
        PAYMENT,
        Ruling(Verdict.APPROVE, Through.ANALYST, "Ada", "A regular."),
    )
    assert reject[3] == Ruling(Verdict.REJECT, Through.ANALYST, "Ada", "")


@pytest.mark.parametrize("method", ["ApproveReview", "RejectReview"])
async def test_deciding_needs_an_idempotency_key(rpc: Stack, method: str) -> None:
    request = getattr(pb, f"{method}Request")(payment_id=ID, analyst="Ada")
    seen = await refused(getattr(rpc.fraud, method)(request, metadata=OWN[:1]))
    assert seen.reason == "IDEMPOTENCY_KEY_MISSING"
    assert rpc.use_cases["decide_review"].calls == []


NEW = {"list_name": "blocked_ips", "value": "203.0.113.7", "author": "Ada", "reason": "It tests cards."}
BAD = [
    ("ClaimReview", {"payment_id": ID, "analyst": " "}, "analyst"),
    ("ClaimReview", {"payment_id": ID, "analyst": "Ada\nGrace"}, "analyst"),
    ("ClaimReview", {"payment_id": "pay_1", "analyst": "Ada"}, "payment_id"),
    ("AddReviewNote", {"payment_id": ID, "analyst": "Ada", "text": ""}, "text"),
    ("AddReviewNote", {"payment_id": ID, "analyst": "Ada", "text": f"She said {CARD}."}, "text"),
    ("ApproveReview", {"payment_id": ID, "analyst": "Ada", "reason": CARD}, "reason"),
    ("RejectReview", {"payment_id": ID, "analyst": ""}, "analyst"),
    ("ListReviews", {"merchant_id": render_id(Prefix.MERCHANT, OTHER)}, "merchant_id"),
    ("ListReviews", {"state": 99}, "state"),
    ("ListDecisions", {"rule": "No Rule"}, "rule"),
    ("ListDecisions", {"merchant_id": render_id(Prefix.MERCHANT, OTHER)}, "merchant_id"),
    ("AddListEntry", NEW | {"list_name": "Blocked IPs"}, "list_name"),
    ("AddListEntry", NEW | {"value": CARD}, "value"),
    ("AddListEntry", NEW | {"value": "two\nlines"}, "value"),
    ("AddListEntry", NEW | {"value": "  "}, "value"),
    ("AddListEntry", NEW | {"reason": ""}, "reason"),
    ("AddListEntry", NEW | {"author": ""}, "author"),
    ("AddListEntry", NEW | {"expires_at": AT}, "expires_at"),
    ("AddListEntry", NEW | {"merchant_id": render_id(Prefix.MERCHANT, OTHER)}, "merchant_id"),
    ("RemoveListEntry", {"list_entry_id": ID, "removed_by": "Ada"}, "list_entry_id"),
    ("RemoveListEntry", {"list_entry_id": render_id(Prefix.LIST_ENTRY, new_id())}, "removed_by"),
    ("ListListEntries", {"list_name": "a b"}, "list_name"),
    ("ListDecisions", {"rule": "x" * 65}, "rule"),
    ("LabelPayment", {"payment_id": ID, "analyst": "Ada"}, "label"),
    ("LabelPayment", {"payment_id": ID, "analyst": "Ada", "label": 1, "note": CARD}, "note"),
    ("GetRuleStatistics", {"merchant_id": render_id(Prefix.MERCHANT, OTHER)}, "merchant_id"),
]


@pytest.mark.parametrize(("method", "values", "field"), BAD, ids=[f"{method}-{field}" for method, _, field in BAD])
async def test_bad_input_names_the_field_and_reaches_nobody(
    rpc: Stack, method: str, values: dict[str, Any], field: str
) -> None:
    request = getattr(pb, f"{method}Request")(**values)
    seen = await refused(getattr(rpc.fraud, method)(request, metadata=OWN))
    assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert "4242" not in seen.message
    assert not [name for name, use_case in rpc.use_cases.items() if use_case.calls]


async def test_who_has_claimed_a_review_is_told_to_others(rpc: Stack) -> None:
    claimed = {"claimed_by": "Grace", "claimed_until": "2026-01-02T00:30:00+00:00"}
    rpc.use_cases["desk.claim"].answer = KassaError(
        Reason.REVIEW_CLAIMED, "Grace works on this review.", metadata=claimed
    )
    request = pb.ClaimReviewRequest(payment_id=ID, analyst="Ada")
    seen = await refused(rpc.fraud.ClaimReview(request, metadata=OWN))
    assert (seen.code, seen.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVIEW_CLAIMED")
    assert "Grace" in seen.message


async def test_decisions_are_filtered_and_shown_with_their_label(rpc: Stack) -> None:
    label = PaymentLabel(PAYMENT, Label.FRAUD, LabelSource.DISPUTE)
    rpc.use_cases["decisions.list"].answer = Page((Decided(MERCHANT.merchant_id, PAYMENT, DECISION, label, AT),), "")
    request = pb.ListDecisionsRequest(rule="many_cards", outcome=payment_pb.FraudDecision.REVIEW, page_size=3)
    request.created_after.FromDatetime(AT)
    request.created_before.FromDatetime(AT + timedelta(days=1))
    (shown,) = (await rpc.fraud.ListDecisions(request, metadata=OWN)).decisions
    assert (shown.label.label, shown.label.source) == (pb.PaymentLabel.FRAUD, pb.PaymentLabel.DISPUTE)
    assert not shown.label.HasField("created_at")
    wanted = DecisionFilter(MERCHANT.merchant_id, "many_cards", FraudOutcome.REVIEW, AT, AT + timedelta(days=1))
    assert rpc.use_cases["decisions.list"].calls == [(wanted, 3, "")]


@pytest.mark.parametrize(
    ("backend", "shown"),
    [
        ("", pb.Decision.BACKEND_UNSPECIFIED),
        ("engine", pb.Decision.ENGINE),
        ("evaluator", pb.Decision.EVALUATOR),
        ("nobody", pb.Decision.NOBODY),
    ],
)
async def test_a_decision_says_who_made_it_and_what_shadows_would_have_done(
    rpc: Stack, backend: str, shown: pb.Decision.Backend
) -> None:
    shadow = ShadowDecision("dark", FraudOutcome.BLOCK, 900, ("new_rule",))
    made = replace(DECISION, backend=backend, role=Role.CANDIDATE, shadows=(shadow,), snoozed=("silent",))
    rpc.use_cases["decisions.get"].answer = Decided(MERCHANT.merchant_id, PAYMENT, made, None, AT)
    decision = await rpc.fraud.GetDecision(pb.GetDecisionRequest(payment_id=ID), metadata=OWN)
    assert (decision.decision.ruleset, decision.role, decision.backend) == ("hash", pb.Decision.CANDIDATE, shown)
    assert [*decision.snoozed_rules] == ["silent"]
    (seen,) = decision.shadows
    assert (seen.decision.ruleset, seen.decision.outcome) == ("dark", payment_pb.FraudDecision.BLOCK)
    assert (seen.decision.score, [*seen.decision.rules]) == (0.9, ["new_rule"])


def test_the_contract_has_every_backend_there_is() -> None:
    assert {name.lower() for name in pb.Decision.Backend.keys()} == {"backend_unspecified", *Backend}  # noqa: SIM118


async def test_an_analysts_label_is_passed_on(rpc: Stack) -> None:
    said = PaymentLabel(PAYMENT, Label.LEGIT, LabelSource.ANALYST, "Ada", "She paid.", AT)
    rpc.use_cases["decisions.label"].answer = said
    request = pb.LabelPaymentRequest(payment_id=ID, label=pb.PaymentLabel.LEGIT, analyst="Ada", note="She paid.")
    shown = await rpc.fraud.LabelPayment(request, metadata=OWN)
    ((owner, given),) = rpc.use_cases["decisions.label"].calls
    assert (owner, given.label, given.author, given.note) == (MERCHANT.merchant_id, Label.LEGIT, "Ada", "She paid.")
    assert (shown.label, shown.analyst, shown.created_at.ToDatetime(UTC)) == (pb.PaymentLabel.LEGIT, "Ada", AT)


def stored(**changes: Any) -> ListEntry:
    facts: dict[str, Any] = {**NEW, "merchant_id": MERCHANT.merchant_id, "id": new_id(), "created_at": AT}
    return ListEntry(**(facts | {"expires_at": None} | changes))


async def test_a_merchants_entry_is_its_own_and_the_platforms_concerns_all(rpc: Stack) -> None:
    rpc.use_cases["lists.add"].answer = stored(merchant_id=EVERY_MERCHANT)
    for metadata in (OWN, PLATFORM):
        shown = await rpc.fraud.AddListEntry(pb.AddListEntryRequest(**NEW), metadata=metadata)
    assert shown.merchant_id == ""
    named = pb.AddListEntryRequest(**NEW, merchant_id=render_id(Prefix.MERCHANT, OTHER))
    await rpc.fraud.AddListEntry(named, metadata=PLATFORM)
    owners = [call[0].merchant_id for call in rpc.use_cases["lists.add"].calls]
    assert owners == [MERCHANT.merchant_id, EVERY_MERCHANT, OTHER]


async def test_an_entry_is_added_removed_and_listed(rpc: Stack) -> None:
    entry = stored(removed_at=AT, removed_by="Grace")
    for name, answer in (("add", entry), ("remove", entry), ("list", Page((entry,), "next"))):
        rpc.use_cases[f"lists.{name}"].answer = answer
    until = datetime.now(UTC) + timedelta(days=1)
    request = pb.AddListEntryRequest(**NEW | {"value": " 203.0.113.7 "})
    request.expires_at.FromDatetime(until)
    shown = await rpc.fraud.AddListEntry(request, metadata=OWN)
    assert rpc.use_cases["lists.add"].calls == [
        (NewListEntry(merchant_id=MERCHANT.merchant_id, expires_at=until, **NEW),)
    ]
    assert (shown.value, shown.removed_by, shown.HasField("expires_at")) == ("203.0.113.7", "Grace", False)
    removal = pb.RemoveListEntryRequest(list_entry_id=shown.id, removed_by="Grace")
    assert (await rpc.fraud.RemoveListEntry(removal, metadata=OWN)) == shown
    assert rpc.use_cases["lists.remove"].calls == [(MERCHANT.merchant_id, entry.id, "Grace")]
    listing = pb.ListListEntriesRequest(list_name="blocked_ips", value="a", include_past=True, page_size=5)
    page = await rpc.fraud.ListListEntries(listing, metadata=OWN)
    assert ([*page.entries], page.next_page_token) == ([shown], "next")
    wanted = ListEntryFilter(MERCHANT.merchant_id, "blocked_ips", "a", include_past=True)
    assert rpc.use_cases["lists.list"].calls == [(wanted, 5, "")]


SNOOZE = {"rule": "many_cards", "author": "Ada", "reason": "A campaign."}


def until(**lasts: float) -> dict[str, Any]:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(**lasts))
    return {"expires_at": moment}


async def test_a_rule_is_silenced_listed_and_acts_again(rpc: Stack) -> None:
    expires_at = AT + timedelta(days=1)
    snooze = Snooze(new_id(), **SNOOZE, created_at=AT, expires_at=expires_at, ended_at=AT, ended_by="Grace")
    for name, answer in (("snoozes.add", snooze), ("snoozes.end", snooze), ("find_snoozes.list", Page((snooze,), "n"))):
        rpc.use_cases[name].answer = answer
    lasts = until(days=30, seconds=-5)
    shown = await rpc.fraud.SnoozeRule(pb.SnoozeRuleRequest(**SNOOZE, **lasts), metadata=PLATFORM)
    wanted = NewSnooze(**SNOOZE, expires_at=lasts["expires_at"].ToDatetime(UTC))
    assert rpc.use_cases["snoozes.add"].calls == [(wanted,)]
    assert (shown.rule, shown.author, shown.reason, shown.ended_by) == (*SNOOZE.values(), "Grace")
    assert (shown.created_at.ToDatetime(UTC), shown.expires_at.ToDatetime(UTC)) == (AT, expires_at)
    ending = pb.EndRuleSnoozeRequest(snooze_id=shown.id, ended_by="Grace")
    assert await rpc.fraud.EndRuleSnooze(ending, metadata=PLATFORM) == shown
    assert rpc.use_cases["snoozes.end"].calls == [(snooze.id, "Grace")]
    listing = pb.ListRuleSnoozesRequest(rule="many_cards", include_past=True, page_size=5, page_token="t")
    page = await rpc.fraud.ListRuleSnoozes(listing, metadata=PLATFORM)
    assert ([*page.snoozes], page.next_page_token) == ([shown], "n")
    assert rpc.use_cases["find_snoozes.list"].calls == [(SnoozeFilter("many_cards", include_past=True), 5, "t")]


@pytest.mark.parametrize(
    ("method", "values", "field"),
    [
        ("SnoozeRule", SNOOZE, "expires_at"),
        ("SnoozeRule", SNOOZE | until(seconds=-1), "expires_at"),
        ("SnoozeRule", SNOOZE | until(days=31), "expires_at"),
        ("SnoozeRule", SNOOZE | until(hours=1) | {"rule": "Many Cards"}, "rule"),
        ("SnoozeRule", SNOOZE | until(hours=1) | {"author": ""}, "author"),
        ("SnoozeRule", SNOOZE | until(hours=1) | {"reason": ""}, "reason"),
        ("SnoozeRule", SNOOZE | until(hours=1) | {"reason": CARD}, "reason"),
        ("EndRuleSnooze", {"snooze_id": ID, "ended_by": "Ada"}, "snooze_id"),
        ("EndRuleSnooze", {"snooze_id": render_id(Prefix.SNOOZE, PAYMENT)}, "ended_by"),
        ("ListRuleSnoozes", {"rule": "Many Cards"}, "rule"),
    ],
)
async def test_a_broken_snooze_names_its_field_and_reaches_nobody(
    rpc: Stack, method: str, values: dict[str, Any], field: str
) -> None:
    seen = await refused(getattr(rpc.fraud, method)(getattr(pb, f"{method}Request")(**values), metadata=PLATFORM))
    assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert not [name for name, use_case in rpc.use_cases.items() if use_case.calls]


@pytest.mark.parametrize("method", ["SnoozeRule", "EndRuleSnooze", "ListRuleSnoozes"])
async def test_a_merchants_key_silences_nothing(rpc: Stack, method: str) -> None:
    seen = await refused(getattr(rpc.fraud, method)(getattr(pb, f"{method}Request")(), metadata=OWN))
    assert seen.reason == "PERMISSION_DENIED"


async def test_statistics_show_each_rule(rpc: Stack) -> None:
    count = RuleCount("many_cards", False, Counter(REVIEW=2, BLOCK=1), Counter(USD=1500, EUR=20), fraud=1, legit=2)
    silent = RuleCount("many_cards", False, Counter(ALLOW=1), snoozed=True)
    dark = RuleCount("dark", True, Counter(BLOCK=2))
    shadow = ShadowCount("c0ffee", Counter(ALLOW=6, BLOCK=2), 3, 2, 1, blocked_fraud=1, rules=(dark,))
    rpc.use_cases["decisions.statistics"].answer = Statistics(
        AT, AT + timedelta(days=7), 10, 3, 4, (count, silent), (shadow,)
    )
    shown = await rpc.fraud.GetRuleStatistics(pb.GetRuleStatisticsRequest(), metadata=PLATFORM)
    assert rpc.use_cases["decisions.statistics"].calls == [(None, None, None)]
    assert (shown.decisions, shown.fraud, shown.legit) == (10, 3, 4)
    rule, snoozed = shown.rules
    assert (rule.snoozed, snoozed.snoozed, snoozed.fired, snoozed.allowed) == (False, True, 1, 1)
    assert (rule.rule, rule.fired, rule.allowed, rule.reviewed, rule.blocked) == ("many_cards", 3, 0, 2, 1)
    assert [(money.currency, money.amount) for money in rule.captured] == [("EUR", 20), ("USD", 1500)]
    (whole,) = shown.shadow_rulesets
    assert (whole.ruleset, whole.decisions, whole.allowed, whole.blocked, whole.differing) == ("c0ffee", 8, 6, 2, 3)
    assert (whole.fraud, whole.legit, whole.blocked_fraud, whole.blocked_legit) == (2, 1, 1, 0)
    assert [(one.rule, one.shadow, one.fired, one.blocked) for one in whole.rules] == [("dark", True, 2, 2)]
