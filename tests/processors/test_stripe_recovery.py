"""What becomes of a Stripe authorization whose answer was lost, without its card."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.domain.decline import DeclineCode
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined
from server.domain.payment import Method
from server.processors.contract import Authorization, OutcomeUnknown, ProcessorToken
from server.processors.stripe import StripeEndpoint, StripeProcessor
from tests.processors.accounts import StripeAccount
from tests.processors.eventually import eventually
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_authorization, make_card, make_refund, make_void
from tests.processors.sandbox_process import Sandbox

CREATE = "stripe.payment_intents.create"


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeProcessor]:
    """The adapter under test."""
    adapter = StripeProcessor(StripeEndpoint(sandbox.url))
    yield adapter
    await adapter.close()


@pytest.fixture
def at(sandbox: Sandbox) -> StripeAccount:
    """An account of its own."""
    return StripeAccount(sandbox)


async def lose(stripe: StripeProcessor, at: StripeAccount, kind: str, number: str, **changes: object) -> Authorization:
    """Sends an authorization whose request or reply is lost, and returns it without its card."""
    request = make_authorization(make_card(number), Method.CREDIT_CARD, **changes)
    at.fault(kind, CREATE)
    with pytest.raises(OutcomeUnknown):
        await stripe.authorize(at.account, request)
    return replace(request, instrument=None)


async def test_fences_what_never_came(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_request", "4242424242424242")
    for _ in range(2):
        outcome = await stripe.resolve(at.account, lost)
        assert isinstance(outcome, Declined), outcome
        assert outcome.failure.code is DeclineCode.NOT_SUBMITTED
    (bare,) = at.payments()
    assert (bare["state"], bare["captured"]) == ("canceled", 0)


async def test_several_calls_have_one_deadline(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_request", "4242424242424242")
    at.fault("latency", "stripe.payment_intents.*", seconds=0.4, times=None)  # Each call alone is in time.
    async with opened(StripeProcessor(StripeEndpoint(at.sandbox.url, deadline_s=0.7))) as hasty:
        with pytest.raises(OutcomeUnknown, match=r"0\.7 s"):
            await hasty.resolve(at.account, lost)


async def test_a_late_original_is_refused_behind_the_fence(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_request", "4242424242424242")
    await stripe.resolve(at.account, lost)
    with pytest.raises(OutcomeUnknown):
        await stripe.authorize(at.account, replace(lost, instrument=make_card()))
    (bare,) = at.payments()
    assert bare["captured"] == 0


async def test_a_lost_reply_of_the_fence_is_fenced_again(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_request", "4242424242424242")
    at.fault("lost_reply", CREATE)
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, lost)
    at.fault("lost_reply", "stripe.payment_intents.cancel")
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, lost)
    assert isinstance(await stripe.resolve(at.account, lost), Declined)
    assert len(at.payments()) == 1


@pytest.mark.parametrize(
    ("number", "wanted"),
    [("4242424242424242", Approved), ("4000000000009995", Declined), ("4000002760003184", ActionRequired)],
)
async def test_finds_what_had_come(
    stripe: StripeProcessor, at: StripeAccount, number: str, wanted: type[object]
) -> None:
    lost = await lose(stripe, at, "lost_reply", number)
    outcome = await eventually(lambda: stripe.resolve(at.account, lost), lambda _: True)
    assert isinstance(outcome, wanted), outcome
    (payment,) = at.payments()
    assert payment["captured"] == (1999 if wanted is Approved else 0)
    if isinstance(outcome, Declined):
        assert outcome.failure.code is DeclineCode.INSUFFICIENT_FUNDS


async def test_what_the_search_does_not_find_stays_unknown(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_reply", "4242424242424242")
    at.fault("error", "stripe.payment_intents.search", status=500)
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, lost)


async def test_repeats_while_the_card_is_there(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_reply", "4000002760003184")
    again = replace(lost, instrument=make_card("4000002760003184"))
    waiting = await stripe.resolve(at.account, again)
    assert isinstance(waiting, ActionRequired)
    at.sandbox.decide(waiting.redirect_url, "approve")
    # The repeat alone would tell of the first state for ever.
    assert isinstance(await stripe.resolve(at.account, again), Approved)


async def test_reads_a_known_intent(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(ProcessorToken("pm_card_visa"), Method.CREDIT_CARD, capture=False)
    approved = await stripe.authorize(at.account, request)
    assert isinstance(approved, Approved)
    known = replace(request, instrument=None, processor_payment_id=approved.processor_payment_id)
    assert await stripe.resolve(at.account, known) == approved


async def test_never_fences_once_the_key_may_be_forgotten(stripe: StripeProcessor, at: StripeAccount) -> None:
    long_ago = timedelta(hours=24)
    lost = await lose(stripe, at, "lost_reply", "4242424242424242", key_age=long_ago)
    outcome = await eventually(lambda: stripe.resolve(at.account, lost), lambda _: True)
    assert isinstance(outcome, Approved)
    never = make_authorization(None, Method.CREDIT_CARD, key_age=long_ago)
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, never)
    assert len(at.payments()) == 1


async def test_a_repeat_tells_of_a_hold_as_it_stands_now(stripe: StripeProcessor, at: StripeAccount) -> None:
    lost = await lose(stripe, at, "lost_reply", "4242424242424242", capture=False)
    again = replace(lost, instrument=make_card())
    held = await stripe.resolve(at.account, again)
    assert isinstance(held, Approved)
    void = make_void(again, held)
    await stripe.void(at.account, void)
    # The repeat alone would say for a day that the money is held.
    assert isinstance(await stripe.resolve(at.account, again), Cancelled)


async def test_a_repeat_tells_of_a_refund_that_has_failed_since(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(make_card("4000000000005126"), Method.CREDIT_CARD)
    approved = await stripe.authorize(at.account, request)
    assert isinstance(approved, Approved)
    refund = make_refund(request, approved)
    assert isinstance(await stripe.refund(at.account, refund), Approved)
    # Its reply was lost, so nobody knows its id and it is asked for again under its key.
    outcome = await eventually(lambda: stripe.resolve(at.account, refund), lambda now: isinstance(now, Declined))
    assert isinstance(outcome, Declined) and outcome.failure.code is DeclineCode.REFUND_FAILED


@pytest.mark.parametrize(
    "when",
    [
        {"key_age": timedelta(hours=24), "asked_at": datetime.now(UTC) + timedelta(hours=24)},
        {"key_age": timedelta(hours=1), "asked_at": datetime.now(UTC) - timedelta(hours=23)},
    ],
    ids=["this clock is behind the database's", "this process has slept since its lease"],
)
async def test_nobody_repeats_under_a_dead_key(
    stripe: StripeProcessor, at: StripeAccount, when: dict[str, Any]
) -> None:
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, make_authorization(None, Method.CREDIT_CARD, **when))
    assert at.payments() == []


async def test_finds_an_old_refund_in_the_list(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(make_card(), Method.CREDIT_CARD)
    approved = await stripe.authorize(at.account, request)
    assert isinstance(approved, Approved)
    long_ago = timedelta(hours=24)
    refund = make_refund(request, approved, amount=700, key_age=long_ago)
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, refund)
    refunded = await stripe.refund(at.account, refund)
    assert await stripe.resolve(at.account, refund) == refunded
    (payment,) = at.payments()
    assert payment["refunded"] == 700


async def test_what_is_over_is_read_and_never_repeated(stripe: StripeProcessor, at: StripeAccount) -> None:
    """Without an age of its key a refund that Stripe does not list is not made, as a repeat under the key would."""
    request = make_authorization(make_card(), Method.CREDIT_CARD)
    approved = await stripe.authorize(at.account, request)
    assert isinstance(approved, Approved)
    with pytest.raises(OutcomeUnknown):
        await stripe.resolve(at.account, make_refund(request, approved, amount=700, key_age=None))
    assert at.payments()[0]["refunded"] == 0
