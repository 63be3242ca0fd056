"""DisputeService over a real channel: what use cases are asked, what callers see, what is refused before."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from kassa.v1 import dispute_service_pb2 as pb

from server.domain.dispute import DisputeState, Evidence
from server.domain.dispute_settlement import settle_dispute
from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, render_id
from server.domain.payment import State
from server.storage.disputes import DisputeFilter
from server.usecases.answers import Answer, Page
from tests.factories import make_payment, make_standing
from tests.rpc.conftest import MERCHANT, METADATA, Stack, refused

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PAYMENT = make_payment(merchant_id=MERCHANT.merchant_id, state=State.COMPLETED, amount_captured=1999)
DISPUTE = settle_dispute(PAYMENT, None, make_standing(respond_by=NOW), NOW).dispute
ID = render_id(Prefix.DISPUTE, DISPUTE.id)


async def test_a_dispute_is_shown(rpc: Stack) -> None:
    rpc.use_cases["get_dispute"].answer = DISPUTE
    shown = await rpc.disputes.GetDispute(pb.GetDisputeRequest(dispute_id=ID), metadata=METADATA)
    assert (shown.id, shown.payment_id) == (ID, render_id(Prefix.PAYMENT, PAYMENT.id))
    assert (shown.state, shown.reason, shown.inquiry) == (pb.Dispute.NEEDS_RESPONSE, pb.Dispute.FRAUDULENT, False)
    assert (shown.amount, shown.amount_withdrawn, shown.amount_held, shown.currency) == (1999, 1999, 0, "USD")
    assert shown.respond_by.ToDatetime(UTC) == NOW
    assert not shown.HasField("evidence") and not shown.HasField("answered_at")
    assert rpc.use_cases["get_dispute"].calls == [(MERCHANT, DISPUTE.id)]


async def test_disputes_are_listed(rpc: Stack) -> None:
    rpc.use_cases["list_dispute"].answer = Page((replace(DISPUTE, respond_by=None),), "more")
    request = pb.ListDisputesRequest(
        page_size=5, page_token="t", state=pb.Dispute.LOST, payment_id=render_id(Prefix.PAYMENT, PAYMENT.id)
    )
    request.respond_before.FromDatetime(NOW)
    page = await rpc.disputes.ListDisputes(request, metadata=METADATA)
    assert (page.next_page_token, page.disputes[0].HasField("respond_by")) == ("more", False)
    assert rpc.use_cases["list_dispute"].calls == [
        (MERCHANT, DisputeFilter(DisputeState.LOST, PAYMENT.id, NOW), 5, "t")
    ]


async def test_evidence_and_acceptance_are_passed_on_and_marked_when_replayed(rpc: Stack) -> None:
    evidence = Evidence(explanation="Delivered.", shipping_date=date(2029, 12, 1))
    rpc.use_cases["answer_dispute"].answer = Answer(replace(DISPUTE, evidence=evidence, answered_at=NOW), replayed=True)
    given = pb.DisputeEvidence(explanation=" Delivered. ", shipping_date="2029-12-01")
    call = rpc.disputes.SubmitDisputeEvidence(
        pb.SubmitDisputeEvidenceRequest(dispute_id=ID, evidence=given), metadata=METADATA
    )
    shown = await call
    assert dict(await call.initial_metadata())["idempotent-replayed"] == "true"
    assert (shown.evidence.explanation, shown.evidence.shipping_date) == ("Delivered.", "2029-12-01")
    await rpc.disputes.AcceptDispute(pb.AcceptDisputeRequest(dispute_id=ID), metadata=METADATA)
    assert rpc.use_cases["answer_dispute"].calls == [
        (MERCHANT, "order-1001", DISPUTE.id, evidence),
        (MERCHANT, "order-1001", DISPUTE.id, None),
    ]


@pytest.mark.parametrize("method", ["AcceptDispute", "SubmitDisputeEvidence"])
async def test_an_answer_needs_a_key(rpc: Stack, method: str) -> None:
    request: Any = getattr(pb, f"{method}Request")(dispute_id=ID)
    if method == "SubmitDisputeEvidence":
        request.evidence.explanation = "Delivered."
    seen = await refused(getattr(rpc.disputes, method)(request, metadata=METADATA[:1]))
    assert seen.reason == "IDEMPOTENCY_KEY_MISSING"
    assert rpc.use_cases["answer_dispute"].calls == []


@pytest.mark.parametrize("number", ["4242424242424242", "4242 4242-4242 4242", "3782-822463-10005"])
@pytest.mark.parametrize("field", ["explanation", "product_description", "refund_policy", "access_activity_log"])
async def test_a_card_number_is_no_evidence_and_is_not_quoted(rpc: Stack, field: str, number: str) -> None:
    given = pb.DisputeEvidence(**{field: f"paid by {number} today"})
    request = pb.SubmitDisputeEvidenceRequest(dispute_id=ID, evidence=given)
    seen = await refused(rpc.disputes.SubmitDisputeEvidence(request, metadata=METADATA))
    assert (seen.reason, seen.field) == ("INVALID_FIELD", f"evidence.{field}")
    assert number not in seen.message
    assert rpc.use_cases["answer_dispute"].calls == []


@pytest.mark.parametrize("day", ["2029-13-01", "20291201", "2029-W01-1", "yesterday"])
async def test_a_day_is_written_in_one_way(rpc: Stack, day: str) -> None:
    request = pb.SubmitDisputeEvidenceRequest(dispute_id=ID, evidence=pb.DisputeEvidence(service_date=day))
    seen = await refused(rpc.disputes.SubmitDisputeEvidence(request, metadata=METADATA))
    assert seen.field == "evidence.service_date"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.DISPUTE_NOT_FOUND, "NOT_FOUND"),
        (Reason.DISPUTE_STATE_INVALID, "FAILED_PRECONDITION"),
        (Reason.DISPUTE_DEADLINE_PASSED, "FAILED_PRECONDITION"),
    ],
)
async def test_refusals_have_reasons(rpc: Stack, reason: Reason, code: str) -> None:
    rpc.use_cases["answer_dispute"].answer = KassaError(reason, "No.")
    seen = await refused(rpc.disputes.AcceptDispute(pb.AcceptDisputeRequest(dispute_id=ID), metadata=METADATA))
    assert (seen.reason, seen.code.name) == (reason.value, code)
