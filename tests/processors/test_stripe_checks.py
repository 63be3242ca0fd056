"""What the issuer said of address, code and 3-D Secure comes with Stripe's approval, and with its decline."""

from typing import Any

import pytest

from server.domain.outcome import ActionRequired, Approved, Declined
from server.domain.payment import Address, Method
from server.processors.stripe import StripeEndpoint, StripeProcessor
from server.processors.stripe.checks import checks_of
from tests.processors.accounts import StripeAccount
from tests.processors.requests_to_processors import make_authorization, make_card
from tests.processors.sandbox_process import Sandbox

HOME = Address("1 High Street", "", "London", "", "N1 9GU", "GB")


@pytest.mark.parametrize(
    ("number", "checks"),
    [
        ("4242424242424242", {"avs_address": "pass", "avs_postcode": "pass", "cvc_check": "pass"}),
        ("4000000000000010", {"avs_address": "fail", "avs_postcode": "fail", "cvc_check": "pass"}),
        ("4000000000000028", {"avs_address": "fail", "avs_postcode": "pass", "cvc_check": "pass"}),
        ("4000000000000036", {"avs_address": "pass", "avs_postcode": "fail", "cvc_check": "pass"}),
        ("4000000000000044", {"avs_address": "unavailable", "avs_postcode": "unavailable", "cvc_check": "pass"}),
        ("4000000000000101", {"avs_address": "pass", "avs_postcode": "pass", "cvc_check": "fail"}),
        ("4000000000000127", {"avs_address": "pass", "avs_postcode": "pass", "cvc_check": "fail"}),
    ],
)
async def test_checks_of_test_cards(sandbox: Sandbox, number: str, checks: dict[str, str]) -> None:
    stripe = StripeProcessor(StripeEndpoint(sandbox.url))
    request = make_authorization(make_card(number), Method.CREDIT_CARD, billing_address=HOME)
    outcome = await stripe.authorize(StripeAccount(sandbox).account, request)
    await stripe.close()
    assert isinstance(outcome, Approved | Declined)
    assert outcome.checks == checks


async def test_an_address_that_was_not_given_is_not_checked(sandbox: Sandbox) -> None:
    stripe = StripeProcessor(StripeEndpoint(sandbox.url))
    request = make_authorization(make_card(), Method.CREDIT_CARD)
    outcome = await stripe.authorize(StripeAccount(sandbox).account, request)
    await stripe.close()
    assert isinstance(outcome, Approved | ActionRequired)
    assert isinstance(outcome, Approved) and outcome.checks == {"cvc_check": "pass"}


@pytest.mark.parametrize(
    ("told", "checks"),
    [
        ({"card": {"three_d_secure": {"result": "attempt_acknowledged"}}}, {"three_d_secure": "attempt_acknowledged"}),
        ({"card": {"three_d_secure": {"result": None}, "checks": None}}, {}),
        ({"card": {"checks": {"cvc_check": "perhaps", "address_line1_check": 7}}}, {}),
        ({"card": None}, {}),
        ("pm_1", {}),
        (None, {}),
    ],
)
def test_what_is_not_as_documented_is_not_known(told: Any, checks: dict[str, str]) -> None:
    assert checks_of(told) == checks
