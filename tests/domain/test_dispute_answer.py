"""When a dispute may be answered, and how its transaction carries the answer."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from server.domain.dispute import Dispute, DisputeState, Evidence
from server.domain.dispute_answer import PendingAnswer, check_answer, pending_answer, with_answer, without_answer
from server.domain.dispute_settlement import settle_dispute
from server.domain.errors import KassaError, Reason
from server.domain.payment import State, Transaction
from tests.factories import make_payment, make_standing

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EVIDENCE = Evidence(explanation="Delivered.", shipping_date=date(2029, 12, 1))


def stored(**changes: object) -> tuple[Dispute, Transaction]:
    payment = make_payment(state=State.COMPLETED, amount_captured=1999)
    settled = settle_dispute(payment, None, make_standing(respond_by=NOW + timedelta(days=1)), NOW)
    return replace(settled.dispute, **changes), settled.transaction  # type: ignore[arg-type]


def test_evidence_and_acceptance_are_taken_until_the_deadline() -> None:
    dispute, transaction = stored()
    check_answer(dispute, transaction, EVIDENCE, NOW)
    check_answer(dispute, transaction, None, NOW + timedelta(days=1, microseconds=-1))


@pytest.mark.parametrize("state", [state for state in DisputeState if state is not DisputeState.NEEDS_RESPONSE])
@pytest.mark.parametrize("evidence", [EVIDENCE, None], ids=["evidence", "acceptance"])
def test_what_waits_for_nothing_takes_no_answer(state: DisputeState, evidence: Evidence | None) -> None:
    dispute, transaction = stored(state=state)
    with pytest.raises(KassaError) as refused:
        check_answer(dispute, transaction, evidence, NOW)
    assert refused.value.reason is Reason.DISPUTE_STATE_INVALID
    assert refused.value.metadata == {"dispute_state": state.value}


def test_after_the_deadline_no_answer_is_taken() -> None:
    dispute, transaction = stored()
    with pytest.raises(KassaError, match="2030-01-02T00:00:00Z") as refused:
        check_answer(dispute, transaction, EVIDENCE, NOW + timedelta(days=1))
    assert refused.value.reason is Reason.DISPUTE_DEADLINE_PASSED


def test_an_inquiry_takes_evidence_and_cannot_be_accepted() -> None:
    dispute, transaction = stored(inquiry=True)
    check_answer(dispute, transaction, EVIDENCE, NOW)
    with pytest.raises(KassaError, match="refund") as refused:
        check_answer(dispute, transaction, None, NOW)
    assert refused.value.reason is Reason.DISPUTE_STATE_INVALID


@pytest.mark.parametrize("evidence", [EVIDENCE, None], ids=["evidence", "acceptance"])
def test_an_answer_is_carried_and_keeps_another_out(evidence: Evidence | None) -> None:
    dispute, transaction = stored()
    answer = PendingAnswer("answer-1", evidence, NOW)
    carried = with_answer(transaction, "key-1", answer)
    assert (pending_answer(carried), carried.idempotency_keys, carried.waiting) == (answer, ("key-1",), False)
    with pytest.raises(KassaError) as refused:
        check_answer(dispute, carried, EVIDENCE, NOW)
    assert refused.value.reason is Reason.OPERATION_IN_PROGRESS
    assert (pending_answer(without_answer(carried)), without_answer(carried).idempotency_keys) == (None, ())
