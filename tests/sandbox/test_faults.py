"""Faults strike as told: where, how often, before or after the deed."""

import asyncio
import time

import aiohttp
import pytest
import requests
import stripe

from sandbox.faults import Faults, Kind, Rule
from tests.sandbox.harness import TIMEOUT_S, Loop, Running
from tests.sandbox.paypal_calls import approved, create, post
from tests.sandbox.stripe_calls import pay, refused

CREATE = "stripe.payment_intents.create"


def test_a_lost_reply_is_booked_and_its_repeat_tells(sandbox: Running) -> None:
    sandbox.fault("lost_reply", CREATE, times=1)
    refused(lambda: pay(sandbox, key="k"), stripe.APIConnectionError)
    assert sandbox.books()["totals"]["USD"]["captured"] == 2000
    assert pay(sandbox, key="k").status == "succeeded"
    assert sandbox.books()["totals"]["USD"]["captured"] == 2000


def test_a_lost_request_is_not_booked(sandbox: Running) -> None:
    sandbox.fault("lost_request", CREATE, times=1)
    refused(lambda: pay(sandbox, key="k"), stripe.APIConnectionError)
    assert sandbox.books()["payments"] == []
    assert pay(sandbox, key="k").status == "succeeded"


@pytest.mark.parametrize(
    ("status", "kind"), [(500, stripe.APIError), (503, stripe.APIError), (429, stripe.RateLimitError)]
)
@pytest.mark.parametrize("booked", [False, True])
def test_an_error_is_answered_before_or_after_the_deed(
    sandbox: Running, status: int, kind: type[stripe.StripeError], booked: bool
) -> None:
    sandbox.fault("error", CREATE, status=status, booked=booked, times=1)
    assert refused(lambda: pay(sandbox, key="k"), kind).http_status == status
    assert len(sandbox.books()["payments"]) == booked
    assert pay(sandbox, key="k").status == "succeeded"
    assert len(sandbox.books()["payments"]) == 1


def test_an_unknown_status_is_shown_only(sandbox: Running) -> None:
    sandbox.fault("unknown_status", CREATE, value="quantum", times=1)
    intent = pay(sandbox)
    assert intent.status == "quantum"
    assert sandbox.stripe().v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_paypals_replies_get_lost_too(sandbox: Running) -> None:
    made = approved(sandbox)
    path = f"v2/checkout/orders/{made['id']}/capture"
    sandbox.fault("lost_reply", "paypal.orders.capture", times=1)
    with pytest.raises(requests.ConnectionError):
        post(sandbox, path, request_id="c")
    assert sandbox.books("paypal_sandbox")["totals"]["USD"]["captured"] == 2000
    assert post(sandbox, path, request_id="c")["status"] == "COMPLETED"


def test_a_rule_hits_its_operation_its_account_and_its_turn(sandbox: Running) -> None:
    sandbox.fault("error", "stripe.*", account="acct_other")
    sandbox.fault("error", "paypal.*")
    sandbox.fault("error", CREATE, skip=1, times=1)
    outcomes = []
    for _ in range(3):
        try:
            outcomes.append(pay(sandbox).status)
        except stripe.APIError:
            outcomes.append("error")
    assert outcomes == ["succeeded", "error", "succeeded"]
    rules = requests.get(f"{sandbox.url}/sandbox/faults", timeout=TIMEOUT_S).json()["faults"]
    assert [(rule["seen"], rule["hits"]) for rule in rules] == [(0, 0), (0, 0), (2, 1)]


def test_clearing_makes_everything_work_again(sandbox: Running) -> None:
    sandbox.fault("error", "*")
    assert requests.delete(f"{sandbox.url}/sandbox/faults", timeout=TIMEOUT_S).json() == {"faults": []}
    assert (pay(sandbox).status, create(sandbox)["status"]) == ("succeeded", "PAYER_ACTION_REQUIRED")


def test_a_rule_that_makes_no_sense_is_refused(sandbox: Running) -> None:
    for rule in ({"kind": "gremlin"}, {"kind": "error", "statu": 500}, {"kind": "error", "probability": 2}):
        answer = requests.post(f"{sandbox.url}/sandbox/faults", json=rule, timeout=TIMEOUT_S)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid")


def test_the_same_seed_strikes_the_same_requests() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults()
        faults.add(Rule(kind=Kind.ERROR, probability=0.5, seed=seed))
        return [bool(faults.draw("stripe.refunds.create", "a")) for _ in range(64)]

    assert strikes(7) == strikes(7) != strikes(8)
    assert 16 < sum(strikes(7)) < 48


def test_many_slow_requests_wait_at_the_same_time(sandbox: Running, loop: Loop) -> None:
    sandbox.fault("latency", CREATE, seconds=1.0, max_seconds=1.2)

    async def fire() -> list[int]:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        form = {"amount": "500", "currency": "usd", "confirm": "true", "payment_method": "pm_card_visa"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def one() -> int:
                async with session.post(f"{sandbox.url}/v1/payment_intents", data=form) as response:
                    return response.status

            return await asyncio.gather(*(one() for _ in range(200)))

    begun = time.monotonic()
    assert loop.run(fire()) == [200] * 200
    # In turn they would take 200 seconds.
    assert 1.0 <= time.monotonic() - begun < 30
    assert sandbox.books()["totals"]["USD"]["captured"] == 100_000
