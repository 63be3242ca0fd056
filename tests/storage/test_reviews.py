"""Reviews: open exactly while their payment is IN_REVIEW, ended once, by whatever moves it on, which they name."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from server.domain.errors import KassaError, Reason
from server.domain.expiry import EXPIRED, Lifetimes
from server.domain.ids import new_id
from server.domain.outcome import ActionRequired, Cancelled, Finding
from server.domain.payment import CaptureMethod, Payment, State, Transaction, TransactionType
from server.domain.review import Review, ReviewState, ReviewTerms, Ruling, Through, Verdict
from server.storage.approve_reviews import ApproveReview
from server.storage.claims import Claim, Replay
from server.storage.open_operations import OpenOperation, OperationOpened
from server.storage.open_payments import Opened
from server.storage.review_desk import claim_review
from server.storage.review_reads import get_case
from server.storage.reviews import take_due_reviews
from server.storage.settle import Settle
from tests.factories import approved, make_payment
from tests.storage.conftest import HELD, LEASE_S, Till
from tests.storage.test_attention import DECLINED

HOUR = timedelta(hours=1)
ADA = Ruling(Verdict.APPROVE, Through.ANALYST, "Ada", "A regular.")


async def opened(till: Till, capture: CaptureMethod = CaptureMethod.MANUAL, **how: object) -> Opened:
    one = await till.open(make_payment(merchant_id=till.merchant, capture_method=capture), decision=HELD, **how)
    assert isinstance(one, Opened)
    return one


async def settle(till: Till, transaction: Transaction, finding: Finding, lifetimes: Lifetimes | None = None) -> Payment:
    row = Settle(till.merchant, transaction.payment_id, transaction.id, finding, lifetimes=lifetimes)
    return (await till.store.settle(row)).payment


async def held(
    till: Till, lifetimes: Lifetimes | None = None, capture: CaptureMethod = CaptureMethod.MANUAL
) -> Payment:
    one = await opened(till, capture)
    payment = await settle(till, one.transaction, approved(one.transaction, captured=False), lifetimes)
    assert payment.state is State.IN_REVIEW
    return payment


async def review(till: Till, payment: Payment) -> Review:
    case = await till.store.read(get_case, payment.merchant_id, payment.id)
    assert case is not None
    return case.review


def since(till: Till, payment: Payment, moment: datetime) -> timedelta:
    ((created,),) = till.query("SELECT created_at FROM reviews WHERE payment_id = :payment", payment=payment.id)
    assert isinstance(created, datetime)
    return moment - created


async def test_a_payment_that_is_held_opens_a_review_with_its_terms(till: Till) -> None:
    terms = ReviewTerms(5 * HOUR, Verdict.APPROVE)
    payment = await held(till, Lifetimes(hold=100 * HOUR, review=terms))
    found = await review(till, payment)
    assert (found.state, found.default_verdict, found.decided_through) == (ReviewState.OPEN, Verdict.APPROVE, None)
    assert since(till, payment, found.deadline) == 5 * HOUR
    assert found.created_at == payment.updated_at


async def test_without_terms_there_is_a_day_and_then_the_payment_is_rejected(till: Till) -> None:
    payment = await held(till)
    found = await review(till, payment)
    assert (since(till, payment, found.deadline), found.default_verdict) == (24 * HOUR, Verdict.REJECT)


async def test_a_review_is_decided_an_hour_before_its_hold_is_called_off(till: Till) -> None:
    payment = await held(till, Lifetimes(hold=10 * HOUR, review=ReviewTerms(24 * HOUR)))
    expiry = till.opened_at(payment) + 10 * HOUR
    assert (await review(till, payment)).deadline == expiry - HOUR


async def test_a_hold_that_is_nearly_over_leaves_no_time_and_no_negative_one(till: Till) -> None:
    payment = await held(till, Lifetimes(hold=timedelta(), review=ReviewTerms(24 * HOUR)))
    assert since(till, payment, (await review(till, payment)).deadline) == timedelta()


async def test_the_time_of_a_review_begins_when_the_customer_has_approved(till: Till) -> None:
    one = await opened(till)
    waiting = ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example")
    assert (await settle(till, one.transaction, waiting)).state is State.PENDING
    assert till.query("SELECT 1 FROM reviews WHERE merchant_id = :merchant") == []
    till.make_older(one.transaction, 20 * HOUR)
    lifetimes = Lifetimes(hold=100 * HOUR)
    payment = await settle(till, one.transaction, approved(one.transaction, captured=False), lifetimes)
    assert since(till, payment, (await review(till, payment)).deadline) == 24 * HOUR


async def test_what_is_allowed_is_in_no_review(till: Till) -> None:
    await till.charged()
    assert till.query("SELECT 1 FROM reviews WHERE merchant_id = :merchant") == []


@pytest.mark.parametrize(
    ("kind", "state"), [(TransactionType.CAPTURE, ReviewState.APPROVED), (TransactionType.VOID, ReviewState.REJECTED)]
)
async def test_the_merchants_own_operation_ends_the_review(
    till: Till, kind: TransactionType, state: ReviewState
) -> None:
    payment = await held(till)
    operation = (await till.begin(payment, kind)).transaction
    assert (await review(till, payment)).state is ReviewState.OPEN
    after = await settle(till, operation, approved(operation))
    found = await review(till, payment)
    assert (found.state, found.decided_through, found.decided_by) == (state, Through.MERCHANT, "")
    assert found.closed_at == after.updated_at


async def test_an_operation_that_the_processor_declines_leaves_the_review_open(till: Till) -> None:
    payment = await held(till)
    capture = (await till.begin(payment, TransactionType.CAPTURE)).transaction
    assert (await settle(till, capture, DECLINED)).state is State.IN_REVIEW
    assert (await review(till, payment)).state is ReviewState.OPEN


@pytest.mark.parametrize("captured", [True, False])
async def test_what_is_done_at_the_processor_ends_the_review(till: Till, captured: bool) -> None:
    one = await opened(till)
    await settle(till, one.transaction, approved(one.transaction, captured=False))
    finding = approved(one.transaction) if captured else Cancelled(processor_payment_id="pi_1")
    after = await settle(till, one.transaction, finding)
    found = await review(till, after)
    assert found.decided_through is Through.PROCESSOR
    assert found.state is (ReviewState.APPROVED if captured else ReviewState.REJECTED)


async def test_a_hold_whose_time_is_over_ends_the_review(till: Till) -> None:
    payment = await held(till)
    row = OpenOperation(till.merchant, payment.id, new_id(), TransactionType.VOID, None, EXPIRED, uuid4(), LEASE_S)
    void = await till.store.open_operation(row)
    assert isinstance(void, OperationOpened)
    await settle(till, void.transaction, approved(void.transaction))
    assert (await review(till, payment)).decided_through is Through.EXPIRY


def operation(till: Till, payment: Payment, kind: TransactionType, ruling: Ruling, key: str = "") -> OpenOperation:
    return replace(till.operation(payment, kind, key=key), ruling=ruling)


async def test_an_analysts_word_is_known_though_somebody_else_settles_it(till: Till) -> None:
    """Recovery, for one: it knows the transaction alone."""
    payment = await held(till, capture=CaptureMethod.AUTOMATIC)
    begun = await till.store.open_operation(operation(till, payment, TransactionType.CAPTURE, ADA))
    assert isinstance(begun, OperationOpened)
    await settle(till, begun.transaction, approved(begun.transaction))
    found = await review(till, payment)
    assert (found.state, found.decided_through) == (ReviewState.APPROVED, Through.ANALYST)
    assert (found.decided_by, found.reason) == ("Ada", "A regular.")


async def test_a_capture_of_a_hold_that_was_gone_is_no_analysts_rejection(till: Till) -> None:
    payment = await held(till, capture=CaptureMethod.AUTOMATIC)
    begun = await till.store.open_operation(operation(till, payment, TransactionType.CAPTURE, ADA))
    assert isinstance(begun, OperationOpened)
    await settle(till, begun.transaction, Cancelled(processor_payment_id="pi_1"))
    found = await review(till, payment)
    assert (found.state, found.decided_through, found.decided_by) == (ReviewState.REJECTED, Through.PROCESSOR, "")


def approval(till: Till, payment: Payment, key: str, ruling: Ruling = ADA) -> ApproveReview:
    claim = Claim(till.merchant, key, uuid4(), ruling.analyst.encode(), payment.id, new_id())
    return ApproveReview(till.merchant, payment.id, ruling, claim)


async def refusal(till: Till, row: ApproveReview) -> KassaError:
    with pytest.raises(KassaError) as refused:
        await till.store.approve_review(row)
    return refused.value


async def test_approving_moves_the_payment_tells_its_merchant_and_answers_once(till: Till) -> None:
    payment = await held(till)
    row = approval(till, payment, "approve-1")
    after = await till.store.approve_review(row)
    assert isinstance(after, Payment)
    assert (after.state, after.amount_captured) == (State.AUTHORIZED, 0)
    again = await till.store.approve_review(replace(row, claim=replace(row.claim, attempt_id=uuid4())))  # type: ignore[type-var]
    assert isinstance(again, Replay) and again.answer is not None
    assert again.answer["payment"]["state"] == State.AUTHORIZED
    told = "SELECT type FROM events WHERE merchant_id = :merchant AND payment_id = :payment ORDER BY id"
    assert till.query(told, payment=payment.id) == [("payment.in_review",), ("payment.authorized",)]
    found = await review(till, payment)
    assert (found.state, found.decided_by, found.closed_at) == (ReviewState.APPROVED, "Ada", after.updated_at)
    late = await refusal(till, approval(till, payment, "approve-2"))
    assert (late.reason, late.metadata["decided_by"]) == (Reason.REVIEW_CLOSED, "Ada")
    stored = "SELECT answer->'error'->>'reason' FROM idempotency_keys WHERE merchant_id = :merchant AND key = :key"
    assert till.query(stored, key="approve-2") == [("REVIEW_CLOSED",)]


async def test_an_approved_payment_is_captured_or_cancelled_like_any_other(till: Till) -> None:
    payment = await held(till)
    await till.store.approve_review(approval(till, payment, "approve-1"))
    capture = (await till.begin(payment, TransactionType.CAPTURE)).transaction
    assert (await settle(till, capture, approved(capture))).state is State.COMPLETED
    assert (await review(till, payment)).decided_through is Through.ANALYST


@pytest.mark.parametrize("kind", [TransactionType.CAPTURE, TransactionType.VOID])
async def test_nothing_is_approved_beside_an_operation_under_way_and_the_key_stays_free(
    till: Till, kind: TransactionType
) -> None:
    payment = await held(till)
    begun = (await till.begin(payment, kind)).transaction
    row = approval(till, payment, "approve-1")
    assert (await refusal(till, row)).reason is Reason.OPERATION_IN_PROGRESS
    assert till.query("SELECT 1 FROM idempotency_keys WHERE merchant_id = :merchant AND key = 'approve-1'") == []
    assert (await settle(till, begun, DECLINED)).state is State.IN_REVIEW
    assert isinstance(await till.store.approve_review(row), Payment)


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REJECT])
async def test_another_analyst_does_not_decide_what_is_claimed(till: Till, verdict: Verdict) -> None:
    payment = await held(till)
    with till.engine.begin() as connection:
        claim_review(connection, till.merchant, payment.id, "Grace")
    ruling = replace(ADA, verdict=verdict)
    with pytest.raises(KassaError) as refused:
        if verdict is Verdict.APPROVE:
            await till.store.approve_review(approval(till, payment, "decide-1"))
        else:
            await till.store.open_operation(operation(till, payment, TransactionType.VOID, ruling, "decide-1"))
    assert (refused.value.reason, refused.value.metadata["claimed_by"]) == (Reason.REVIEW_CLAIMED, "Grace")
    assert till.query("SELECT 1 FROM idempotency_keys WHERE merchant_id = :merchant AND key = 'decide-1'") == []
    grace = replace(ruling, analyst="Grace")
    if verdict is Verdict.APPROVE:
        assert isinstance(await till.store.approve_review(approval(till, payment, "decide-1", grace)), Payment)
    else:
        begun = await till.store.open_operation(operation(till, payment, TransactionType.VOID, grace, "decide-1"))
        assert isinstance(begun, OperationOpened)


async def test_a_deadline_waits_for_nobodys_claim(till: Till) -> None:
    payment = await held(till)
    with till.engine.begin() as connection:
        claim_review(connection, till.merchant, payment.id, "Grace")
    by_time = Ruling(Verdict.APPROVE, Through.DEADLINE)
    assert isinstance(await till.store.approve_review(ApproveReview(till.merchant, payment.id, by_time)), Payment)
    found = await review(till, payment)
    assert (found.decided_through, found.decided_by, found.claimed_by) == (Through.DEADLINE, "", "")


async def test_what_is_in_no_review_is_not_approved(till: Till) -> None:
    payment = await till.charged()
    assert (await refusal(till, approval(till, payment, "approve-1"))).reason is Reason.REVIEW_NOT_FOUND
    nobody = make_payment(merchant_id=till.merchant)
    assert (await refusal(till, approval(till, nobody, "approve-2"))).reason is Reason.PAYMENT_NOT_FOUND


def take(till: Till) -> list[UUID]:
    with till.engine.begin() as connection:
        return [one.payment_id for one in take_due_reviews(connection, 1000) if one.merchant_id == till.merchant]


async def test_an_overdue_review_is_taken_once_and_again_only_after_a_pause(till: Till) -> None:
    overdue = await held(till, Lifetimes(hold=100 * HOUR, review=ReviewTerms(timedelta())))
    await held(till)
    with till.engine.connect() as other:
        assert [one.payment_id for one in take_due_reviews(other, 1000) if one.merchant_id == till.merchant] == [
            overdue.id
        ]
        assert take(till) == []
    assert take(till) == [overdue.id]
    assert take(till) == []
    pause = "SELECT next_attempt_at - now() < interval '31 s' FROM reviews WHERE payment_id = :payment"
    assert till.query(pause, payment=overdue.id) == [(True,)]


async def test_a_review_that_is_over_is_not_taken(till: Till) -> None:
    payment = await held(till, Lifetimes(hold=100 * HOUR, review=ReviewTerms(timedelta())))
    await till.store.approve_review(approval(till, payment, "approve-1"))
    assert take(till) == []
