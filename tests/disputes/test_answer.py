"""One key answers a dispute once: durable before it is sent, repeated after a lost reply, told the same again."""

from dataclasses import replace

import pytest

from server.domain.dispute import Dispute, DisputeState, Evidence
from server.domain.errors import KassaError, Reason
from server.processors.contract import OutcomeUnknown, ProcessorRejected, ProcessorUnavailable
from server.usecases.answers import Caller
from tests.disputes.conftest import Desk

EVIDENCE = Evidence(explanation="It was delivered.")


async def ready(desk: Desk, state: DisputeState = DisputeState.UNDER_REVIEW) -> Dispute:
    """A dispute that an answer turns into `state`."""
    _, dispute = await desk.disputed()
    stands = desk.bank.stands[dispute.processor_dispute_id]
    desk.bank.verdict = replace(stands, state=state, respond_by=None)
    return dispute


async def refusal(desk: Desk, dispute: Dispute, key: str = "key-1", evidence: Evidence | None = EVIDENCE) -> Reason:
    with pytest.raises(KassaError) as refused:
        await desk.answer(desk.caller, key, dispute.id, evidence)
    return refused.value.reason


@pytest.mark.parametrize(
    ("evidence", "state"),
    [(EVIDENCE, DisputeState.UNDER_REVIEW), (None, DisputeState.LOST)],
    ids=["told", "accepted"],
)
async def test_an_answer_is_given_once_and_told_again(
    desk: Desk, evidence: Evidence | None, state: DisputeState
) -> None:
    dispute = await ready(desk, state)
    first = await desk.answer(desk.caller, "key-1", dispute.id, evidence)
    assert (first.value.state, first.value.evidence, first.replayed) == (state, evidence, False)
    again = await desk.answer(desk.caller, "key-1", dispute.id, evidence)
    assert (again.value, again.replayed) == (first.value, True)
    assert [one.evidence for one in desk.bank.answers] == [evidence]
    assert await refusal(desk, dispute, "key-1", Evidence(explanation="Another.")) is Reason.IDEMPOTENCY_KEY_REUSED
    assert await refusal(desk, dispute, "key-2") is Reason.DISPUTE_STATE_INVALID


@pytest.mark.parametrize("lost", [OutcomeUnknown("no answer"), ProcessorUnavailable("not sent")])
async def test_an_answer_whose_reply_is_lost_is_sent_again_under_the_same_key(desk: Desk, lost: Exception) -> None:
    dispute = await ready(desk)
    desk.bank.trouble = lost
    assert await refusal(desk, dispute) is Reason.REQUEST_IN_FLIGHT
    assert await refusal(desk, dispute, "key-2") is Reason.OPERATION_IN_PROGRESS
    desk.bank.trouble = None
    assert await desk.recovered(dispute) == "STILL_OPEN"
    told = await desk.answer(desk.caller, "key-1", dispute.id, EVIDENCE)
    assert (told.replayed, told.value.state, told.value.evidence) == (True, DisputeState.UNDER_REVIEW, EVIDENCE)
    assert len({one.key for one in desk.bank.answers}) == 1 < len(desk.bank.answers)


async def test_a_webhook_that_is_quicker_than_the_reply_takes_nothing_from_the_answer(desk: Desk) -> None:
    payment, dispute = await desk.disputed()
    stands = desk.bank.stands[dispute.processor_dispute_id]
    desk.bank.verdict = replace(stands, state=DisputeState.WON, withdrawn=0, respond_by=None)
    desk.bank.before_reply = lambda: desk.follow.read(payment, dispute.processor_dispute_id)
    answer = await desk.answer(desk.caller, "key-1", dispute.id, EVIDENCE)
    assert (answer.value.state, answer.value.evidence) == (DisputeState.WON, EVIDENCE)
    assert await desk.recovered(dispute) == "OVER"
    assert len(desk.bank.answers) == 1


async def test_an_answer_that_the_processor_refuses_may_be_written_anew(desk: Desk) -> None:
    dispute = await ready(desk)
    desk.bank.trouble = ProcessorRejected("evidence_too_long")
    desk.bank.verdict, verdict = None, desk.bank.verdict
    assert await refusal(desk, dispute) is Reason.PROCESSOR_REFUSED
    desk.bank.trouble, desk.bank.verdict = None, verdict
    assert await refusal(desk, dispute) is Reason.PROCESSOR_REFUSED, "the key's answer stands"
    answer = await desk.answer(desk.caller, "key-2", dispute.id, EVIDENCE)
    assert answer.value.state is DisputeState.UNDER_REVIEW
    assert len({one.key for one in desk.bank.answers}) == 2


async def test_somebody_elses_dispute_is_not_found(desk: Desk) -> None:
    dispute = await ready(desk)
    stranger = Caller(desk.bank.account, test_mode=True)
    with pytest.raises(KassaError) as refused:
        await desk.answer(stranger, "key-1", dispute.id, EVIDENCE)
    assert refused.value.reason is Reason.DISPUTE_NOT_FOUND
