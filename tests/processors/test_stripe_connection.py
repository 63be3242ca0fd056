"""How the adapter reaches Stripe: whom it talks to, how much at once, and what a broken answer means."""

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import stripe as sdk
from aiohttp import ClientConnectionError, web

from server.domain.outcome import Approved
from server.domain.payment import Method
from server.processors.contract import (
    Account,
    Authorization,
    EventRejected,
    OutcomeUnknown,
    ProcessorBusy,
    ProcessorRejected,
    ProcessorToken,
)
from server.processors.stripe import StripeEndpoint, StripeProcessor
from tests.processors.accounts import StripeAccount
from tests.processors.doubles import answering
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_authorization, make_card
from tests.processors.sandbox_process import Sandbox


def an_account(**changes: Any) -> Account:
    account = Account(uuid4(), None, "stripe", True, {"secret_key": "sk_test_1", "webhook_secret": "whsec_1"})
    return replace(account, **changes)


def an_authorization() -> Authorization:
    return make_authorization(make_card(), Method.CREDIT_CARD)


async def _authorize_many(adapter: StripeProcessor, account: Account, calls: int) -> int:
    """Asks for so many authorizations at once; returns how many threads that took."""
    before, token = threading.active_count(), ProcessorToken("pm_card_visa")
    requests = [make_authorization(token, Method.CREDIT_CARD) for _ in range(calls)]
    outcomes = await asyncio.gather(*(adapter.authorize(account, request) for request in requests))
    assert all(isinstance(outcome, Approved) for outcome in outcomes)
    return threading.active_count() - before


async def test_a_thousand_calls_are_under_way_at_once() -> None:
    """The processor answers nobody until all have come."""
    arrived, all_here = 0, asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal arrived
        arrived += 1
        if arrived == 1000:
            all_here.set()
        await all_here.wait()
        body = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "currency": "usd"}
        return web.json_response({**body, "amount": 1999, "amount_received": 1999, "latest_charge": "ch_1"})

    limits = {"deadline_s": 60, "connect_s": 60}
    async with answering(answer) as server, opened(StripeProcessor(StripeEndpoint(server.url, **limits))) as adapter:
        assert await _authorize_many(adapter, an_account(), 1000) <= 8


async def test_a_thousand_slow_authorizations_all_succeed(sandbox: Sandbox) -> None:
    at = StripeAccount(sandbox)
    at.fault("latency", "stripe.payment_intents.create", seconds=2, times=1000)
    async with opened(StripeProcessor(StripeEndpoint(sandbox.url, deadline_s=60, connect_s=60))) as adapter:
        assert await _authorize_many(adapter, at.account, 1000) <= 8
    assert sum(payment["captured"] for payment in at.payments()) == 1000 * 1999


async def test_a_call_that_finds_no_slot_is_never_sent(sandbox: Sandbox) -> None:
    at = StripeAccount(sandbox)
    at.fault("latency", "stripe.payment_intents.create", seconds=0.6)
    async with opened(StripeProcessor(StripeEndpoint(sandbox.url, max_in_flight=1, slot_wait_s=0.05))) as adapter:
        first = asyncio.create_task(adapter.authorize(at.account, an_authorization()))
        await asyncio.sleep(0)  # Lets the first one take the slot.
        with pytest.raises(ProcessorBusy):
            await adapter.authorize(at.account, an_authorization())
        # The slots are the account's own.
        other = StripeAccount(sandbox)
        assert isinstance(await adapter.authorize(other.account, an_authorization()), Approved)
        assert isinstance(await first, Approved)
        assert isinstance(await adapter.authorize(at.account, an_authorization()), Approved)
    assert len(at.payments()) == 2


async def _redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": f"http://{request.host}/elsewhere"})


async def _no_json(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>maintenance</html>")


async def _no_intent(_: web.Request) -> web.StreamResponse:
    return web.json_response({"object": "payment_intent", "status": "succeeded"})


async def _strange_amount(_: web.Request) -> web.StreamResponse:
    body = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "currency": "isk"}
    return web.json_response({**body, "amount": 1001, "amount_received": 1001, "latest_charge": None})


async def _cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "pi_1"')
    assert request.transport is not None
    request.transport.close()
    return response


async def _in_use(_: web.Request) -> web.StreamResponse:
    error = {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "in use"}
    return web.json_response({"error": error}, status=409)


async def _conflict(_: web.Request) -> web.StreamResponse:
    error = {"type": "invalid_request_error", "code": "lock_timeout", "message": "somebody else works on it"}
    return web.json_response({"error": error}, status=409)


@pytest.mark.parametrize(
    "handler",
    [_redirect, _no_json, _no_intent, _strange_amount, _cut_off, _in_use, _conflict],
    ids=lambda one: one.__name__,
)
async def test_an_answer_that_says_nothing_is_unknown(handler: Any) -> None:
    async with answering(handler) as server:
        async with opened(StripeProcessor(StripeEndpoint(server.url))) as adapter:
            with pytest.raises(OutcomeUnknown):
                await adapter.authorize(an_account(), an_authorization())
        assert [path for _, path, _, _ in server.requests] == ["/v1/payment_intents"], "sent once, and nowhere else"


@pytest.mark.parametrize(("status", "code"), [(401, "authentication_failed"), (403, "permission_denied")])
async def test_a_key_that_stripe_refuses_is_our_mistake(status: int, code: str) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"type": "invalid_request_error", "message": "no"}}, status=status)

    async with answering(refuse) as server, opened(StripeProcessor(StripeEndpoint(server.url))) as adapter:
        with pytest.raises(ProcessorRejected, match=code):
            await adapter.authorize(an_account(), an_authorization())


async def _asked(monkeypatch: pytest.MonkeyPatch, account: Account) -> list[tuple[str, str]]:
    """Where an account's call would go, and with which key."""
    asked: list[tuple[str, str]] = []

    async def refuse(_: Any, _method: str, url: str, headers: Mapping[str, str], post_data: Any = None) -> Any:
        asked.append((url, headers["Authorization"]))
        try:
            raise ClientConnectionError
        except ClientConnectionError as error:
            raise sdk.APIConnectionError("nobody is there") from error

    monkeypatch.setattr(sdk.AIOHTTPClient, "request_async", refuse)
    async with opened(StripeProcessor(StripeEndpoint("http://127.0.0.1:9"))) as adapter:
        with pytest.raises(OutcomeUnknown):
            await adapter.authorize(account, an_authorization())
    return asked


async def test_a_live_account_talks_to_stripe_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    live = an_account(test_mode=False, credentials={"secret_key": "sk_live_1", "webhook_secret": "whsec_1"})
    assert await _asked(monkeypatch, live) == [("https://api.stripe.com/v1/payment_intents", "Bearer sk_live_1")]
    assert await _asked(monkeypatch, an_account()) == [("http://127.0.0.1:9/v1/payment_intents", "Bearer sk_test_1")]


@pytest.mark.parametrize(
    ("test_mode", "key"), [(True, "sk_live_1"), (True, "rk_live_1"), (False, "sk_test_1"), (False, "rk_test_1")]
)
async def test_a_key_of_the_other_mode_is_never_sent(test_mode: bool, key: str) -> None:
    async with answering(_no_json) as server:
        async with opened(StripeProcessor(StripeEndpoint(server.url))) as adapter:
            account = an_account(test_mode=test_mode, credentials={"secret_key": key, "webhook_secret": "w"})
            with pytest.raises(ProcessorRejected, match="api_key_of_the_other_mode"):
                await adapter.authorize(account, an_authorization())
        assert server.requests == []


async def test_a_new_key_of_an_account_takes_effect(sandbox: Sandbox) -> None:
    at = StripeAccount(sandbox)
    async with opened(StripeProcessor(StripeEndpoint(sandbox.url))) as adapter:
        with pytest.raises(ProcessorRejected):
            old = {**at.account.credentials, "secret_key": "sk_test_old"}
            await adapter.authorize(replace(at.account, credentials=old), an_authorization())
        assert isinstance(await adapter.authorize(at.account, an_authorization()), Approved)


async def test_a_signature_with_letters_beyond_ascii_is_forged() -> None:
    adapter = StripeProcessor(StripeEndpoint())
    with pytest.raises(EventRejected):
        await adapter.parse_event(an_account(), {"stripe-signature": "t=1700000000,v1=é"}, json.dumps({}).encode())
