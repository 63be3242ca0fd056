"""A rule that challenges: 3-D Secure is asked for and followed through, or what else can be done is done."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests

from server.domain.decline import DeclineCode
from server.domain.payment import FraudOutcome, Method, Payment, State
from server.processors.contract import BankOrCrypto, Wallet
from server.screening.feasible import feasible
from tests.processors.requests_to_processors import make_card
from tests.usecases.conftest import Gateway
from tests.usecases.shop import Shop, shop_at

CAN_BE_CHALLENGED, CANNOT_BE_CHALLENGED = "4000000000003055", "4242424242424242"
RULES = """
ruleset: careful
rules:
  - id: prove_it
    when: amount_usd > 10
    action: challenge
"""


@pytest.fixture
async def shop(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Shop]:
    """Payments above ten dollars are challenged."""
    rules = tmp_path / "careful.yaml"
    rules.write_text(RULES)
    async with shop_at(gateway, rules) as found:
        yield found


def choose(payment: Payment, choice: str) -> None:
    """Does what the customer does on their bank's page."""
    answer = requests.post(payment.redirect_url, data={"choice": choice}, allow_redirects=False, timeout=30)
    assert answer.status_code in {302, 303}


@pytest.mark.parametrize(("choice", "state"), [("approve", State.COMPLETED), ("decline", State.FAILED)])
async def test_a_challenged_card_waits_for_its_customer_and_goes_as_they_choose(
    shop: Shop, choice: str, state: State
) -> None:
    waiting = await shop.pay(make_card(CAN_BE_CHALLENGED))
    assert (waiting.state, waiting.amount_captured) == (State.PENDING, 0)
    assert waiting.fraud is not None
    assert (waiting.fraud.outcome, waiting.fraud.rules) == (FraudOutcome.CHALLENGE, ("prove_it",))
    assert waiting.redirect_url

    choose(waiting, choice)
    done = await shop.confirm(waiting)
    assert done.state is state
    assert done.amount_captured == (1999 if state is State.COMPLETED else 0)
    if state is State.FAILED:
        assert done.failure is not None
        assert done.failure.code is DeclineCode.AUTHENTICATION_FAILED


async def test_the_same_card_is_not_challenged_where_no_rule_asks(shop: Shop) -> None:
    payment = await shop.pay(make_card(CAN_BE_CHALLENGED), amount=999)
    assert payment.state is State.COMPLETED


async def test_a_card_that_knows_no_challenge_goes_ahead_by_its_banks_word(shop: Shop) -> None:
    payment = await shop.pay(make_card(CANNOT_BE_CHALLENGED))
    assert payment.state is State.COMPLETED
    assert payment.fraud is not None
    assert payment.fraud.outcome is FraudOutcome.CHALLENGE


async def test_without_a_page_to_return_to_a_challenge_is_a_decline(shop: Shop) -> None:
    payment = await shop.pay(make_card(CAN_BE_CHALLENGED), return_url="")
    assert payment.state is State.FAILED
    assert payment.failure is not None
    assert payment.failure.code is DeclineCode.AUTHENTICATION_FAILED


async def test_a_wallet_cannot_be_challenged_so_its_funds_are_held_for_a_review(shop: Shop) -> None:
    payment = await shop.pay(Wallet(), Method.DIGITAL_WALLET)
    assert payment.fraud is not None
    assert payment.fraud.outcome is FraudOutcome.REVIEW
    choose(payment, "approve")
    held = await shop.confirm(payment)
    assert (held.state, held.amount_authorized, held.amount_captured) == (State.IN_REVIEW, 1999, 0)


async def test_what_can_be_neither_challenged_nor_held_is_blocked_and_no_processor_sees_it(shop: Shop) -> None:
    payment = await shop.pay(BankOrCrypto(), Method.CRYPTOCURRENCY)
    assert payment.state is State.FAILED
    assert payment.fraud is not None
    assert payment.fraud.outcome is FraudOutcome.BLOCK
    assert payment.failure is not None
    assert payment.failure.code is DeclineCode.REVIEW_NOT_POSSIBLE
    assert await shop.gateway.transactions(payment) == []


@pytest.mark.parametrize(
    ("outcome", "can_hold", "can_challenge", "expected"),
    [
        (FraudOutcome.ALLOW, False, False, FraudOutcome.ALLOW),
        (FraudOutcome.CHALLENGE, False, True, FraudOutcome.CHALLENGE),
        (FraudOutcome.CHALLENGE, True, False, FraudOutcome.REVIEW),
        (FraudOutcome.CHALLENGE, False, False, FraudOutcome.BLOCK),
        (FraudOutcome.REVIEW, True, False, FraudOutcome.REVIEW),
        (FraudOutcome.REVIEW, False, True, FraudOutcome.BLOCK),
        (FraudOutcome.BLOCK, True, True, FraudOutcome.BLOCK),
    ],
)
def test_what_cannot_be_done_becomes_the_next_harder_thing(
    outcome: FraudOutcome, can_hold: bool, can_challenge: bool, expected: FraudOutcome
) -> None:
    assert feasible(outcome, can_hold=can_hold, can_challenge=can_challenge) is expected
