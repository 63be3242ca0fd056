"""What Stripe does with methods, challenges and currencies, through the adapter."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from server.domain.decline import Advice, DeclineCode
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined, Pending
from server.domain.payment import Method
from server.processors.contract import Account, BankOrCrypto, Instrument, ProcessorRejected, ProcessorToken
from server.processors.stripe import StripeEndpoint, StripeProcessor
from server.processors.stripe.declines import decline
from tests.processors.accounts import StripeAccount
from tests.processors.eventually import eventually
from tests.processors.requests_to_processors import make_authorization, make_capture, make_card, make_refund
from tests.processors.sandbox_process import Sandbox


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


async def approve(stripe: StripeProcessor, account: Account, **changes: Any) -> tuple[Any, Approved]:
    request = make_authorization(changes.pop("instrument", make_card()), Method.CREDIT_CARD, **changes)
    outcome = await stripe.authorize(account, request)
    assert isinstance(outcome, Approved), outcome
    return request, outcome


async def test_tells_the_card_of_a_token(stripe: StripeProcessor, at: StripeAccount) -> None:
    _, approved = await approve(stripe, at.account, instrument=ProcessorToken("pm_card_mastercard"))
    assert (approved.card_brand, approved.card_last4) == ("mastercard", "4444")
    assert approved.card_exp_month is not None and approved.card_exp_year is not None


async def test_all_our_references_travel(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account)
    intent = await stripe._connection.get(at.account, f"/v1/payment_intents/{approved.processor_payment_id}")
    assert intent["metadata"] == {
        "kassa_transaction": str(request.transaction_id),
        "kassa_payment": str(request.payment_id),
        "kassa_merchant": str(request.merchant_id),
    }


@pytest.mark.parametrize(
    ("number", "code", "advice"),
    [
        ("4000000000000002", DeclineCode.CARD_DECLINED, Advice.TRY_ANOTHER_METHOD),
        ("4000000000009995", DeclineCode.INSUFFICIENT_FUNDS, Advice.TRY_ANOTHER_METHOD),
        ("4000000000009987", DeclineCode.LOST_OR_STOLEN, Advice.DO_NOT_RETRY),
        ("4000000000009979", DeclineCode.LOST_OR_STOLEN, Advice.DO_NOT_RETRY),
        ("4000000000000069", DeclineCode.EXPIRED_CARD, Advice.TRY_ANOTHER_METHOD),
        ("4000000000000127", DeclineCode.INCORRECT_CVC, Advice.CONFIRM_CARD_DATA),
        ("4000000000000119", DeclineCode.PROCESSING_ERROR, Advice.RETRY_LATER),
        ("4100000000000019", DeclineCode.PROCESSOR_FRAUD, Advice.DO_NOT_RETRY),
        ("4000000000006975", DeclineCode.LIMIT_EXCEEDED, Advice.TRY_ANOTHER_METHOD),
    ],
)
async def test_declines(
    stripe: StripeProcessor, at: StripeAccount, number: str, code: DeclineCode, advice: Advice
) -> None:
    outcome = await stripe.authorize(at.account, make_authorization(make_card(number), Method.CREDIT_CARD))
    assert isinstance(outcome, Declined), outcome
    assert (outcome.failure.code, outcome.failure.advice) == (code, advice)
    assert outcome.processor_payment_id.startswith("pi_")


async def test_a_token_that_does_not_exist_is_the_customers_instrument(
    stripe: StripeProcessor, at: StripeAccount
) -> None:
    request = make_authorization(ProcessorToken("pm_nowhere"), Method.CREDIT_CARD)
    outcome = await stripe.authorize(at.account, request)
    assert isinstance(outcome, Declined), outcome
    assert outcome.failure.code is DeclineCode.INSTRUMENT_INVALID


def test_an_unknown_decline_code_is_a_decline_that_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    failure = decline({"type": "card_error", "code": "card_declined", "decline_code": "moon_phase"})
    assert (failure.code, failure.decline_code) == (DeclineCode.CARD_DECLINED, "moon_phase")
    assert "moon_phase" in caplog.text


def test_stripes_own_advice_wins() -> None:
    failure = decline({"decline_code": "generic_decline", "advice_code": "do_not_try_again"})
    assert failure.advice is Advice.DO_NOT_RETRY


async def test_a_challenge_is_asked_for(stripe: StripeProcessor, at: StripeAccount) -> None:
    optional = make_card("4000000000003055")
    await approve(stripe, at.account, instrument=optional)
    challenged = make_authorization(optional, Method.CREDIT_CARD, challenge=True)
    assert isinstance(await stripe.authorize(at.account, challenged), ActionRequired)


async def test_a_failed_challenge_is_a_decline(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(make_card("4000002760003184"), Method.CREDIT_CARD)
    waiting = await stripe.authorize(at.account, request)
    assert isinstance(waiting, ActionRequired)
    at.sandbox.decide(waiting.redirect_url, "decline")
    known = replace(request, instrument=None, processor_payment_id=waiting.processor_payment_id)
    outcome = await stripe.complete(at.account, known)
    assert isinstance(outcome, Declined), outcome
    assert outcome.failure.code is DeclineCode.AUTHENTICATION_FAILED


async def test_without_a_page_to_return_to_a_challenge_is_a_decline(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(make_card("4000002760003184"), Method.CREDIT_CARD, return_url="")
    outcome = await stripe.authorize(at.account, request)
    assert isinstance(outcome, Declined), outcome
    assert outcome.failure.code is DeclineCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("token", "wanted"), [("pm_usBankAccount_success", Approved), ("pm_usBankAccount_insufficientFunds", Declined)]
)
async def test_a_bank_debit_is_decided_later(
    stripe: StripeProcessor, at: StripeAccount, token: str, wanted: type[object]
) -> None:
    request = make_authorization(ProcessorToken(token), Method.BANK_TRANSFER)
    pending = await stripe.authorize(at.account, request)
    assert isinstance(pending, Pending), pending
    known = replace(request, instrument=None, processor_payment_id=pending.processor_payment_id)
    outcome = await eventually(lambda: stripe.complete(at.account, known), lambda found: not isinstance(found, Pending))
    assert isinstance(outcome, wanted), outcome


async def test_a_bank_debit_without_details_goes_by_currency(stripe: StripeProcessor, at: StripeAccount) -> None:
    dollars = make_authorization(BankOrCrypto(), Method.BANK_TRANSFER)
    assert isinstance(await stripe.authorize(at.account, dollars), Pending)
    euros = make_authorization(BankOrCrypto(), Method.BANK_TRANSFER, currency="EUR")
    refused = await stripe.authorize(at.account, euros)
    assert isinstance(refused, Declined), refused
    assert refused.failure.code is DeclineCode.INSTRUMENT_INVALID


async def test_crypto_is_paid_on_a_page(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(BankOrCrypto(), Method.CRYPTOCURRENCY)
    waiting = await stripe.authorize(at.account, request)
    assert isinstance(waiting, ActionRequired), waiting
    at.sandbox.decide(waiting.redirect_url, "approve")
    known = replace(request, instrument=None, processor_payment_id=waiting.processor_payment_id)
    assert isinstance(await stripe.complete(at.account, known), Approved)


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 1500), ("ISK", 990), ("KWD", 12340), ("MGA", 50000)])
async def test_amounts_arrive_as_they_were_meant(
    stripe: StripeProcessor, at: StripeAccount, currency: str, amount: int
) -> None:
    request, approved = await approve(stripe, at.account, currency=currency, amount=amount, capture=False)
    assert (approved.amount, approved.currency) == (amount, currency)
    captured = await stripe.capture(at.account, make_capture(request, approved))
    assert isinstance(captured, Approved)
    (payment,) = at.payments()
    assert (payment["captured"], payment["currency"]) == (amount, currency)


async def test_what_cannot_be_expressed_is_not_sent(stripe: StripeProcessor, at: StripeAccount) -> None:
    request = make_authorization(make_card(), Method.CREDIT_CARD, currency="KWD", amount=12345)
    with pytest.raises(ProcessorRejected, match="request_not_expressible"):
        await stripe.authorize(at.account, request)
    assert at.payments() == []


@pytest.mark.parametrize("instrument", [None, ProcessorToken("pm_card_visa")])
async def test_a_hold_read_again_after_a_partial_capture_is_still_what_was_authorized(
    stripe: StripeProcessor, at: StripeAccount, instrument: Instrument | None
) -> None:
    request, approved = await approve(stripe, at.account, instrument=instrument or make_card(), capture=False)
    await stripe.capture(at.account, make_capture(request, approved, amount=500))
    known = replace(request, instrument=None, processor_payment_id=approved.processor_payment_id)
    again = await stripe.resolve(at.account, known)
    assert isinstance(again, Approved)
    assert (again.amount, again.captured) == (1999, False)


async def test_a_hold_that_is_gone_is_told(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account, capture=False)
    await stripe._connection.post(at.account, f"/v1/payment_intents/{approved.processor_payment_id}/cancel", {}, {})
    capture = make_capture(request, approved)
    assert await stripe.resolve(at.account, capture) == Cancelled(processor_payment_id=approved.processor_payment_id)


async def test_a_refund_that_fails_later_is_told(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account, instrument=make_card("4000000000005126"))
    refund = make_refund(request, approved)
    refunded = await stripe.refund(at.account, refund)
    assert isinstance(refunded, Approved)
    known = replace(refund, processor_transaction_id=refunded.processor_transaction_id)
    failed = await eventually(lambda: stripe.resolve(at.account, known), lambda found: isinstance(found, Declined))
    assert isinstance(failed, Declined)
    assert failed.failure.code is DeclineCode.REFUND_FAILED


async def test_a_refund_that_is_pending_becomes_done(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account, instrument=make_card("4000000000007726"))
    refund = make_refund(request, approved)
    assert isinstance(await stripe.refund(at.account, refund), Pending)
    await eventually(lambda: stripe.resolve(at.account, refund), lambda found: isinstance(found, Approved))


async def test_a_refund_of_the_dashboard_can_be_read(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account)
    made = at.sandbox.command(
        "/sandbox/stripe/refunds", payment_intent=approved.processor_payment_id, account=at.books, amount=700
    )
    refund = make_refund(request, approved, processor_transaction_id=made["id"])
    found = await stripe.resolve(at.account, refund)
    assert isinstance(found, Approved)
    assert found.amount == 700


async def test_what_a_partial_capture_releases_is_no_refund(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account, capture=False)
    await stripe.capture(at.account, make_capture(request, approved, amount=500))
    listed = await stripe._connection.get(at.account, "/v1/refunds", {"payment_intent": approved.processor_payment_id})
    (release,) = listed["data"]
    asked = make_refund(request, approved, processor_transaction_id=release["id"])
    assert isinstance(await stripe.resolve(at.account, asked), Pending)


async def test_a_reason_is_told(stripe: StripeProcessor, at: StripeAccount) -> None:
    request, approved = await approve(stripe, at.account)
    refund = make_refund(request, approved, reason="REQUESTED_BY_CUSTOMER")
    assert isinstance(await stripe.refund(at.account, refund), Approved)


@pytest.mark.parametrize("id_", ["pi_1/../charges", "pi_1?expand=customer", "pi_1%2f", "pi 1"])
async def test_an_id_that_leads_elsewhere_is_not_sent(stripe: StripeProcessor, at: StripeAccount, id_: str) -> None:
    with pytest.raises(ProcessorRejected) as rejected:
        await stripe._connection.get(at.account, f"/v1/payment_intents/{id_}/x")
    assert rejected.value.code == "id_malformed"
