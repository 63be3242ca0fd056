"""Compulsory for every adapter: secrets, card data and evidence reach no log, no exception, no repr and no console.

Everything logs at DEBUG while the adapter succeeds, is refused, loses answers and reads webhooks.
"""

import asyncio
import logging
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from server.domain.outcome import ActionRequired, Approved
from server.domain.payment import Method
from server.processors.contract import (
    Account,
    DisputeAnswer,
    EventRejected,
    Evidence,
    OutcomeUnknown,
    ProcessorRejected,
    ProcessorUnavailable,
    Wallet,
)
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from server.processors.stripe import StripeEndpoint, StripeProcessor
from tests.processors.accounts import PayPalAccount, StripeAccount
from tests.processors.opened import opened
from tests.processors.requests_to_processors import CVC, make_authorization, make_card, make_refund
from tests.processors.sandbox_process import Sandbox

NUMBERS = ("4242424242424242", "4000000000009995")
EVIDENCE = "Ada Byron, 192.0.2.1"
ERRORS = (OutcomeUnknown, ProcessorRejected, ProcessorUnavailable, EventRejected)


@pytest.fixture
def everything_logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All loggers at DEBUG, those of the SDKs and of HTTP among them."""
    names = ("stripe", "paypalrestsdk", "paypalrestsdk.api", "urllib3", "requests", "aiohttp", "asyncio", "server")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


async def _shown(call: Callable[[], Awaitable[Any]]) -> str:
    """All that a person could see of a call: its result, or its error with every cause and every frame's source."""
    try:
        return repr(await call())
    except ERRORS as error:
        chain: list[BaseException] = [error]
        for one in chain:
            chain += [inner for inner in (one.__cause__, one.__context__) if inner is not None and inner not in chain]
        told = [f"{one!r} {one} {one.args} {vars(one)}" for one in chain]
        return "\n".join([*told, *traceback.format_exception(error)])


def _check(seen: str, log: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], secrets: list[str]) -> None:
    assert log.records, "nothing was logged at all, so the test proves nothing"
    console = capsys.readouterr()
    everything = "\n".join([seen, log.text, *(repr(vars(record)) for record in log.records), *console])
    assert [secret for secret in secrets if secret in everything] == []


def _answer(dispute_id: str) -> DisputeAnswer:
    """What a merchant tells of a customer is nobody else's business, either."""
    return DisputeAnswer(key="a", processor_dispute_id=dispute_id, evidence=Evidence(access_activity_log=EVIDENCE))


def _wrong(account: Account) -> Account:
    return replace(account, credentials={name: f"{value}x" for name, value in account.credentials.items()})


async def test_stripe(
    sandbox: Sandbox, everything_logs: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    at, unreachable = StripeAccount(sandbox), StripeProcessor(StripeEndpoint("http://127.0.0.1:9"))
    account, seen = at.account, ""
    async with opened(StripeProcessor(StripeEndpoint(sandbox.url))) as stripe, opened(unreachable):
        request = make_authorization(make_card(NUMBERS[0]), Method.CREDIT_CARD)
        approved = await stripe.authorize(account, request)
        assert isinstance(approved, Approved)
        declined = make_authorization(make_card(NUMBERS[1]), Method.CREDIT_CARD)
        seen += await _shown(lambda: stripe.authorize(account, declined))
        for kind in ("lost_reply", "lost_request", "error"):
            at.fault(kind, "stripe.payment_intents.create")
            lost = replace(request, transaction_id=declined.payment_id)
            seen += await _shown(lambda lost=lost: stripe.authorize(account, lost))  # type: ignore[misc]
        wrong_date = replace(make_card(NUMBERS[0]), exp_month=99)
        seen += await _shown(lambda: stripe.authorize(account, make_authorization(wrong_date, Method.CREDIT_CARD)))
        seen += await _shown(lambda: stripe.authorize(_wrong(account), request))
        seen += await _shown(lambda: unreachable.authorize(account, request))
        seen += await _shown(lambda: stripe.refund(account, make_refund(request, approved, amount=5000)))
        payment = {"payment_intent": approved.processor_payment_id, "account": at.books}
        answer = _answer(sandbox.command("/sandbox/stripe/disputes", **payment)["id"])
        for kind in ("lost_reply", "error"):
            at.fault(kind, "stripe.disputes.update")
            seen += await _shown(lambda: stripe.answer_dispute(account, answer))
        seen += await _shown(lambda: stripe.answer_dispute(_wrong(account), answer))
        seen += await _shown(lambda: unreachable.answer_dispute(account, answer))
        seen += await _shown(lambda: stripe.read_dispute(account, answer.processor_dispute_id))
        seen += await _shown(lambda: stripe.read_fee(account, approved.processor_payment_id, ""))
        seen += await _shown(lambda: stripe.read_totals(_wrong(account), approved.processor_payment_id))
        seen += await _shown(lambda: stripe.parse_event(account, {"stripe-signature": "t=1,v1=0"}, b"{}"))
        seen += f"{stripe!r} {vars(stripe)!r} {vars(stripe._connection)!r} {account!r} {request!r} {approved!r}"
    secrets = [*account.credentials.values(), *NUMBERS, "2424242424", f"'{CVC}'", f"cvc={CVC}", f"cvc]={CVC}", EVIDENCE]
    _check(seen, everything_logs, capsys, secrets)


async def test_paypal(
    sandbox: Sandbox, everything_logs: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    at, unreachable = PayPalAccount(sandbox), PayPalProcessor(PayPalEndpoint("http://127.0.0.1:9"))
    account, seen = at.account, ""
    async with opened(PayPalProcessor(PayPalEndpoint(sandbox.url))) as paypal, opened(unreachable):
        request = make_authorization(Wallet(), Method.DIGITAL_WALLET)
        waiting = await paypal.authorize(account, request)
        assert isinstance(waiting, ActionRequired)
        sandbox.decide(waiting.redirect_url, "approve")
        known = replace(request, processor_payment_id=waiting.processor_payment_id)
        captured = await paypal.complete(account, known)
        assert isinstance(captured, Approved)
        for kind in ("lost_reply", "lost_request", "error"):
            at.fault(kind, "paypal.orders.create")
            lost = replace(request, transaction_id=request.payment_id)
            seen += await _shown(lambda lost=lost: paypal.authorize(account, lost))  # type: ignore[misc]
        seen += await _shown(lambda: paypal.authorize(_wrong(account), request))
        seen += await _shown(lambda: unreachable.authorize(account, request))
        seen += await _shown(lambda: paypal.refund(account, make_refund(request, captured, amount=5000)))
        answer = _answer(sandbox.command("/sandbox/paypal/disputes", order=captured.processor_payment_id)["dispute_id"])
        for kind in ("lost_reply", "error"):
            at.fault(kind, "paypal.disputes.provide_evidence")
            seen += await _shown(lambda: paypal.answer_dispute(account, answer))
        seen += await _shown(lambda: paypal.answer_dispute(_wrong(account), answer))
        seen += await _shown(lambda: unreachable.answer_dispute(account, answer))
        seen += await _shown(lambda: paypal.read_dispute(account, answer.processor_dispute_id))
        seen += await _shown(lambda: paypal.read_fee(account, "", captured.processor_transaction_id))
        seen += await _shown(lambda: paypal.read_totals(account, captured.processor_payment_id))
        seen += await _shown(lambda: paypal.parse_event(account, {}, b"{}"))
        (client,) = paypal._connection._clients.values()
        token = client.api.get_token_hash()["access_token"]
        seen += f"{paypal!r} {vars(paypal)!r} {vars(paypal._connection)!r} {account!r} {request!r} {captured!r}"
        basic = client.api.basic_auth()
    secrets = [account.credentials["client_secret"], basic, token, EVIDENCE]
    _check(seen, everything_logs, capsys, secrets)


_PROGRAM = """
import asyncio, logging, sys
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("stripe").setLevel(logging.DEBUG)
from server.domain.payment import Method
from server.processors.contract import Account, OutcomeUnknown
from server.processors.stripe import StripeEndpoint, StripeProcessor
from tests.processors.requests_to_processors import make_authorization, make_card
from uuid import uuid4

async def main():
    stripe = StripeProcessor(StripeEndpoint(sys.argv[1]))
    account = Account(uuid4(), None, "stripe", True, {"secret_key": sys.argv[2], "webhook_secret": "whsec_1"})
    print(await stripe.authorize(account, make_authorization(make_card(), Method.CREDIT_CARD)))
    await stripe.close()

asyncio.run(main())
"""


async def test_the_sdks_own_debug_switch_prints_nothing(sandbox: Sandbox) -> None:
    """STRIPE_LOG=debug makes the SDK print request bodies to stderr, whatever the logging says."""
    at = StripeAccount(sandbox)
    key = at.account.credentials["secret_key"]
    environment = {**os.environ, "STRIPE_LOG": "debug"}
    command = [sys.executable, "-c", _PROGRAM, sandbox.url, key]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert "Approved" in done.stdout, done.stderr
    for secret in (key, *NUMBERS):
        assert secret not in done.stdout + done.stderr
    # Three digits by themselves: an id of the sandbox's may hold them by chance.
    assert re.search(rf"(?<!\w){CVC}(?!\w)", done.stdout + done.stderr) is None
