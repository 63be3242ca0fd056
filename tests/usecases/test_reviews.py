"""Analysts, merchants, deadlines and expiry decide payments in review: whoever is first, money moves once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from server.domain.errors import KassaError, Reason
from server.domain.payment import CaptureMethod, Method, Payment, State, TransactionState, TransactionType
from server.domain.review import ReviewState, Ruling, Through, Verdict
from server.domain.review_case import ReviewCase
from server.processors.contract import Wallet
from server.rpc.fraud_service import FraudUseCases
from server.storage.deadlines import Deadline
from server.usecases.answers import Answer
from server.usecases.expire_payment import ExpirePayment
from tests.cluster import Database
from tests.processors.sandbox_process import Sandbox
from tests.storage.conftest import HELD
from tests.usecases.conftest import Gateway, fraud_use_cases, gateway_at, to_its_end

NO_TIME_H = 1e-6
AUTOMATIC, MANUAL = CaptureMethod.AUTOMATIC, CaptureMethod.MANUAL
ADA = Ruling(Verdict.APPROVE, Through.ANALYST, "Ada", "A regular.")
NO = replace(ADA, verdict=Verdict.REJECT)


@pytest.fixture
def fraud(gateway: Gateway) -> FraudUseCases:
    return fraud_use_cases(gateway.core)


@pytest.fixture(params=["reject", "approve"])
async def hasty(request: pytest.FixtureRequest, database: Database, sandbox: Sandbox) -> AsyncIterator[Gateway]:
    """A gateway whose reviews are overdue at once."""
    async with gateway_at(database, sandbox, review_deadline_h=NO_TIME_H, review_default=request.param) as found:
        yield found


async def held(gateway: Gateway, capture: CaptureMethod = AUTOMATIC) -> Payment:
    payment = await gateway.pay(decision=HELD, capture_method=capture)
    assert payment.state is State.IN_REVIEW
    assert gateway.booked(payment)["captured"] == 0
    return payment


async def decide(gateway: Gateway, payment: Payment, ruling: Ruling, key: str = "") -> Answer[ReviewCase]:
    return await fraud_use_cases(gateway.core).decide(
        gateway.till.merchant, key or str(uuid4()), payment.id, ruling, "req_1"
    )


async def done(gateway: Gateway, payment: Payment) -> list[TransactionType]:
    found = await gateway.transactions(payment)
    return [one.type for one in found if one.state is TransactionState.COMPLETED][1:]


async def test_approving_captures_what_its_merchant_wanted_captured_at_once(gateway: Gateway) -> None:
    payment = await held(gateway)
    answer = await decide(gateway, payment, ADA, "approve-1")
    assert (answer.value.review.state, answer.replayed) == (ReviewState.APPROVED, False)
    assert (answer.value.payment.state, answer.value.payment.amount_captured) == (State.COMPLETED, 1999)
    assert gateway.booked(payment)["captured"] == 1999
    again = await decide(gateway, payment, ADA, "approve-1")
    assert again.replayed and again.value == answer.value
    assert await done(gateway, payment) == [TransactionType.CAPTURE]


async def test_approving_leaves_to_the_merchant_what_it_captures_by_itself(gateway: Gateway) -> None:
    payment = await held(gateway, MANUAL)
    answer = await decide(gateway, payment, ADA, "approve-1")
    assert (answer.value.review.state, answer.value.payment.state) == (ReviewState.APPROVED, State.AUTHORIZED)
    assert (await decide(gateway, payment, ADA, "approve-1")).replayed
    assert (await gateway.capture(payment)).state is State.COMPLETED
    assert (await decide(gateway, payment, ADA, "approve-1")).replayed
    with pytest.raises(KassaError) as refusal:
        await decide(gateway, payment, NO)
    assert (refusal.value.reason, refusal.value.metadata["review_state"]) == (Reason.REVIEW_CLOSED, "APPROVED")
    assert await done(gateway, payment) == [TransactionType.CAPTURE]


@pytest.mark.parametrize("capture", [AUTOMATIC, MANUAL])
async def test_rejecting_releases_the_funds(gateway: Gateway, capture: CaptureMethod) -> None:
    payment = await held(gateway, capture)
    answer = await decide(gateway, payment, NO, "reject-1")
    assert (answer.value.review.state, answer.value.payment.state) == (ReviewState.REJECTED, State.CANCELLED)
    assert (answer.value.review.decided_by, answer.value.review.reason) == ("Ada", "A regular.")
    assert gateway.booked(payment)["state"] == "canceled"
    assert (await decide(gateway, payment, NO, "reject-1")).replayed


async def test_a_wallets_payment_is_decided_too(gateway: Gateway) -> None:
    order = await gateway.pay(Wallet(), HELD, capture_method=AUTOMATIC, method=Method.DIGITAL_WALLET)
    gateway.sandbox.decide(order.redirect_url, "approve")
    confirmed = await gateway.use_cases.confirm(gateway.caller, str(uuid4()), order.id)
    assert confirmed.value.state is State.IN_REVIEW
    assert (await decide(gateway, order, ADA)).value.payment.state is State.COMPLETED
    assert gateway.booked(order)["captured"] == 1999


async def test_one_key_is_one_decision(gateway: Gateway) -> None:
    payment = await held(gateway)
    await decide(gateway, payment, ADA, "decide-1")
    with pytest.raises(KassaError) as refusal:
        await decide(gateway, payment, NO, "decide-1")
    assert refusal.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_the_platform_decides_for_any_merchant_and_nobody_for_another(
    gateway: Gateway, fraud: FraudUseCases
) -> None:
    payment = await held(gateway)
    with pytest.raises(KassaError) as refusal:
        await fraud.decide(uuid4(), "decide-1", payment.id, ADA, "")
    assert refusal.value.reason is Reason.REVIEW_NOT_FOUND
    answer = await fraud.decide(None, "decide-1", payment.id, ADA, "")
    assert answer.value.payment.state is State.COMPLETED


async def test_what_another_analyst_works_on_is_left_to_them(gateway: Gateway, fraud: FraudUseCases) -> None:
    payment = await held(gateway)
    await fraud.desk.claim(gateway.till.merchant, payment.id, "Grace")
    with pytest.raises(KassaError) as refusal:
        await decide(gateway, payment, ADA, "decide-1")
    assert refusal.value.metadata["claimed_by"] == "Grace"
    await fraud.desk.release(gateway.till.merchant, payment.id, "Grace")
    assert (await decide(gateway, payment, ADA, "decide-1")).value.review.decided_by == "Ada"


@pytest.mark.parametrize("ruling", [ADA, NO])
async def test_a_lost_answer_leaves_the_review_open_until_recovery_knows(gateway: Gateway, ruling: Ruling) -> None:
    payment = await held(gateway)
    verb = "capture" if ruling is ADA else "cancel"
    gateway.fault("stripe", "lost_reply", f"stripe.payment_intents.{verb}")
    answer = await decide(gateway, payment, ruling, "decide-1")
    assert (answer.value.review.state, answer.value.payment.state) == (ReviewState.OPEN, State.IN_REVIEW)
    gateway.write("UPDATE transactions SET lease_until = now() - interval '1 s' WHERE merchant_id = :merchant")
    lost = (await gateway.transactions(payment))[-1]
    await gateway.core.recover(lost.merchant_id, lost.payment_id, lost.id)
    again = await decide(gateway, payment, ruling, "decide-1")
    assert again.replayed
    assert (again.value.review.decided_through, again.value.review.decided_by) == (Through.ANALYST, "Ada")
    assert len(await done(gateway, payment)) == 1


async def test_a_processor_that_declines_leaves_the_review_open(gateway: Gateway, fraud: FraudUseCases) -> None:
    payment = await held(gateway)
    gateway.fault("stripe", "error", "stripe.payment_intents.capture", status=400)
    with pytest.raises(KassaError) as refusal:
        await decide(gateway, payment, ADA)
    assert refusal.value.reason is Reason.PROCESSOR_REFUSED
    assert (await fraud.desk.get(None, payment.id)).review.state is ReviewState.OPEN
    assert (await decide(gateway, payment, ADA)).value.review.state is ReviewState.APPROVED


@pytest.mark.parametrize("capture", [AUTOMATIC, MANUAL])
async def test_at_the_deadline_the_default_is_carried_out_once(hasty: Gateway, capture: CaptureMethod) -> None:
    payment = await held(hasty, capture)
    approves = hasty.core.settings.review_default == "approve"
    await hasty.core.sweeps.decide_reviews()
    case = await fraud_use_cases(hasty.core).desk.get(None, payment.id)
    assert case.review.decided_through is Through.DEADLINE
    assert case.review.state is (ReviewState.APPROVED if approves else ReviewState.REJECTED)
    captured = State.COMPLETED if capture is AUTOMATIC else State.AUTHORIZED
    assert case.payment.state is (captured if approves else State.CANCELLED)
    await hasty.core.sweeps.decide_reviews()
    assert len(await done(hasty, payment)) == (0 if case.payment.state is State.AUTHORIZED else 1)


async def test_what_is_not_overdue_is_left_to_people(gateway: Gateway, fraud: FraudUseCases) -> None:
    payment = await held(gateway)
    await gateway.core.sweeps.decide_reviews()
    assert (await fraud.desk.get(None, payment.id)).review.state is ReviewState.OPEN


async def test_what_was_captured_in_the_dashboard_is_found_when_its_default_is_refused(
    database: Database, sandbox: Sandbox
) -> None:
    async with gateway_at(database, sandbox, review_deadline_h=NO_TIME_H) as gateway:
        payment = await held(gateway)
        gateway.at_stripe(f"payment_intents/{payment.processor_payment_id}/capture")
        await gateway.core.sweeps.decide_reviews()
        case = await fraud_use_cases(gateway.core).desk.get(None, payment.id)
        assert (case.review.decided_through, case.payment.amount_captured) == (Through.PROCESSOR, 1999)


def contenders(gateway: Gateway, payment: Payment) -> list[Callable[[], Awaitable[object]]]:
    """Everybody who may end a review."""
    core = gateway.core
    expire = ExpirePayment(core.store, core.transactions, core.act, core.recover, lease_s=core.lease_s)
    return [
        lambda: decide(gateway, payment, ADA),
        lambda: decide(gateway, payment, NO),
        lambda: decide(gateway, payment, replace(ADA, analyst="Grace")),
        lambda: gateway.capture(payment),
        lambda: gateway.use_cases.cancel(gateway.caller, str(uuid4()), payment.id, ""),
        lambda: expire(Deadline(payment.merchant_id, payment.id, payment.created_at)),
    ]


@pytest.mark.parametrize("capture", [AUTOMATIC, MANUAL])
async def test_whoever_races_money_moves_once_and_the_review_ends_once(
    gateway: Gateway, capture: CaptureMethod
) -> None:
    gateway.fault("stripe", "latency", "stripe.*", seconds=0.0, max_seconds=0.05, seed=7, times=200)
    payments = [await held(gateway, capture) for _ in range(6)]

    async def race(number: int, payment: Payment) -> None:
        """Each begins first once; the others come at the same moment."""
        all_of_them = contenders(gateway, payment)
        first = all_of_them.pop(number)
        await asyncio.gather(*(to_its_end(one) for one in (first, *all_of_them)))

    await asyncio.gather(*(race(number, payment) for number, payment in enumerate(payments)))
    for payment in payments:
        if (await gateway.now(payment)).state is State.AUTHORIZED:
            await gateway.capture(payment)
        now, booked = await gateway.now(payment), gateway.booked(payment)
        captured = now.state is State.COMPLETED
        assert captured or now.state is State.CANCELLED
        assert await done(gateway, payment) == [TransactionType.CAPTURE if captured else TransactionType.VOID]
        assert (now.amount_captured, booked["captured"]) == ((1999, 1999) if captured else (0, 0))
        ended = "SELECT count(*), min(state) FROM reviews WHERE payment_id = :payment AND closed_at IS NOT NULL"
        ((count, state),) = gateway.till.query(ended, payment=payment.id)
        assert count == 1 and state in {"APPROVED", "REJECTED"}
        assert captured <= (state == "APPROVED")
    balance = "SELECT COALESCE(sum(amount), 0) FROM ledger_entries WHERE merchant_id = :merchant"
    assert gateway.till.query(balance) == [(0,)]
