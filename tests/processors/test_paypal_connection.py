"""How the adapter reaches PayPal: the faults of its SDK are shut out, and a broken answer means what it means."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from server.domain.outcome import ActionRequired
from server.domain.payment import Method
from server.processors.contract import (
    Account,
    Authorization,
    OutcomeUnknown,
    ProcessorBusy,
    ProcessorRejected,
    ProcessorUnavailable,
    Wallet,
)
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from server.processors.paypal.connection import Threads
from server.processors.paypal.currencies import write_money
from tests.processors.accounts import PayPalAccount
from tests.processors.doubles import Handler, answering
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_authorization
from tests.processors.sandbox_process import Sandbox

TOKEN, ORDERS = "/v1/oauth2/token", "/v2/checkout/orders"


def an_account(**changes: Any) -> Account:
    credentials = {"client_id": "client", "client_secret": "secret", "webhook_id": "WH"}
    return replace(Account(uuid4(), None, "paypal", True, credentials), **changes)


def an_authorization() -> Authorization:
    return make_authorization(Wallet(), Method.DIGITAL_WALLET)


def an_order() -> dict[str, Any]:
    links = [{"rel": "payer-action", "href": "https://paypal.example/approve", "method": "GET"}]
    return {"id": "5O190127TN364715T", "status": "PAYER_ACTION_REQUIRED", "intent": "CAPTURE", "links": links}


def with_tokens(handler: Handler) -> Handler:
    """Gives out access tokens T1, T2, …, and leaves the rest to `handler`."""
    given = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal given
        if request.path != TOKEN:
            return await handler(request)
        given += 1
        return web.json_response({"access_token": f"T{given}", "token_type": "Bearer", "expires_in": 3600})

    return answer


async def accept(_: web.Request) -> web.StreamResponse:
    return web.json_response(an_order(), status=201)


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    """One thread, and one place to wait."""
    found = Threads("test", threads=1, max_queued=1)
    yield found
    found.close()


async def test_a_token_that_is_always_refused_is_not_asked_for_ever() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "invalid_token"}, status=401)

    async with answering(with_tokens(refuse)) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal:
        with pytest.raises(ProcessorRejected):
            await paypal.authorize(an_account(), an_authorization())
        assert len(server.asked(ORDERS)) == len(server.asked(TOKEN)) == 2


async def test_a_token_that_ran_out_is_renewed_once_for_all() -> None:
    async def accept_second(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer T1":
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response(an_order(), status=201)

    async with (
        answering(with_tokens(accept_second)) as server,
        opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal,
    ):
        account = an_account()
        outcomes = await asyncio.gather(*(paypal.authorize(account, an_authorization()) for _ in range(20)))
        assert all(isinstance(outcome, ActionRequired) for outcome in outcomes)
        assert len(server.asked(TOKEN)) == 2


async def test_our_headers_do_not_reach_the_token_call_and_its_secret_does_not_reach_others() -> None:
    async with answering(with_tokens(accept)) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal:
        request = an_authorization()
        await paypal.authorize(an_account(), request)
        (token,), (order,) = server.asked(TOKEN), server.asked(ORDERS)
        basic = base64.b64encode(b"client:secret").decode()
        assert token["Authorization"] == f"Basic {basic}"
        assert not {"PayPal-Request-Id", "Prefer"} & token.keys()
        assert order["Authorization"] == "Bearer T1"
        assert order["PayPal-Request-Id"] == str(request.transaction_id)
        assert "Cookie" not in order


async def test_cookies_are_not_kept() -> None:
    async def set_cookie(_: web.Request) -> web.StreamResponse:
        return web.json_response(an_order(), headers={"Set-Cookie": "session=1; Path=/"})

    async with (
        answering(with_tokens(set_cookie)) as server,
        opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal,
    ):
        account = an_account()
        for _ in range(2):
            await paypal.authorize(account, an_authorization())
        assert all("Cookie" not in headers for headers in server.asked(ORDERS))


async def test_a_trailing_slash_of_the_address_does_no_harm() -> None:
    async with (
        answering(with_tokens(accept)) as server,
        opened(PayPalProcessor(PayPalEndpoint(f"{server.url}/"))) as paypal,
    ):
        await paypal.authorize(an_account(), an_authorization())
        assert [path for _, path, _, _ in server.requests] == [TOKEN, ORDERS]


async def test_reading_sends_no_body() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        unit = {"custom_id": str(request.transaction_id), "amount": {"currency_code": "USD", "value": "19.99"}}
        return web.json_response({**an_order(), "purchase_units": [unit]})

    async with answering(with_tokens(answer)) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal:
        request = replace(an_authorization(), processor_payment_id="5O190127TN364715T")
        assert isinstance(await paypal.complete(an_account(), request), ActionRequired)
        assert [body for method, _, _, body in server.requests if method == "GET"] == [""]


async def _redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"http://{request.host}/elsewhere"})


async def _permanent_redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=308, headers={"Location": f"http://{request.host}/elsewhere"})


async def _no_json(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>maintenance</html>")


async def _no_object(_: web.Request) -> web.StreamResponse:
    return web.json_response([1])


async def _no_order(_: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "CREATED"})


async def _cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "1"')
    assert request.transport is not None
    request.transport.close()
    return response


async def _at_work(_: web.Request) -> web.StreamResponse:
    return web.json_response({"name": "RESOURCE_CONFLICT"}, status=409)


@pytest.mark.parametrize(
    "handler",
    [_redirect, _permanent_redirect, _no_json, _no_object, _no_order, _cut_off, _at_work],
    ids=lambda one: one.__name__,
)
async def test_an_answer_that_says_nothing_is_unknown(handler: Handler) -> None:
    async with answering(with_tokens(handler)) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal:
        with pytest.raises(OutcomeUnknown):
            await paypal.authorize(an_account(), an_authorization())
        assert [path for _, path, _, _ in server.requests] == [TOKEN, ORDERS], "sent once, and nowhere else"


async def test_a_refused_request_is_raised() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        details = [{"issue": "MISSING_REQUIRED_PARAMETER", "field": "/intent"}]
        return web.json_response({"name": "INVALID_REQUEST", "details": details}, status=400)

    async with answering(with_tokens(refuse)) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal:
        with pytest.raises(ProcessorRejected, match="MISSING_REQUIRED_PARAMETER"):
            await paypal.authorize(an_account(), an_authorization())


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (401, {"error": "invalid_client"}, ProcessorRejected),
        (500, {}, ProcessorUnavailable),
        (429, {}, ProcessorUnavailable),
        (302, {}, ProcessorUnavailable),
        (200, {"token_type": "Bearer"}, ProcessorUnavailable),
        (200, [], ProcessorUnavailable),
    ],
)
async def test_without_a_token_nothing_is_sent(status: int, body: Any, wanted: type[Exception]) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers={"Location": "/elsewhere"})

    async with answering(refuse) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as paypal:
        with pytest.raises(wanted):
            await paypal.authorize(an_account(), an_authorization())
        assert [path for _, path, _, _ in server.requests] == [TOKEN]


async def test_a_live_account_talks_to_paypal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(_: Any, url: str, method: str, **_kwargs: Any) -> Any:
        asked.append(url)
        raise ValueError("nobody is there")

    monkeypatch.setattr("server.processors.paypal.api.Api.http_call", refuse)
    async with opened(PayPalProcessor(PayPalEndpoint("http://127.0.0.1:9"))) as paypal:
        for account in (an_account(test_mode=False), an_account()):
            with pytest.raises(ProcessorUnavailable):
                await paypal.authorize(account, an_authorization())
    async with opened(PayPalProcessor(PayPalEndpoint())) as paypal:
        with pytest.raises(ProcessorUnavailable):
            await paypal.authorize(an_account(), an_authorization())
    assert asked == [
        f"https://api-m.paypal.com{TOKEN}",
        f"http://127.0.0.1:9{TOKEN}",
        f"https://api-m.sandbox.paypal.com{TOKEN}",
    ]


async def test_a_new_secret_of_an_account_takes_effect(sandbox: Sandbox) -> None:
    at = PayPalAccount(sandbox)
    async with opened(PayPalProcessor(PayPalEndpoint(sandbox.url))) as paypal:
        old = replace(at.account, credentials={**at.account.credentials, "client_secret": "old"})
        with pytest.raises(ProcessorRejected):
            await paypal.authorize(old, an_authorization())
        assert isinstance(await paypal.authorize(at.account, an_authorization()), ActionRequired)


async def test_a_full_queue_begins_nothing(threads: Threads) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait(10)
        return "done"

    running = asyncio.create_task(threads.run(work, 10))
    await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.create_task(threads.run(lambda: "waited", 10))
    await asyncio.sleep(0)  # Lets it take the only place in the queue.
    with pytest.raises(ProcessorBusy):
        await threads.run(lambda: pytest.fail("it was begun"), 10)
    go_on.set()
    assert (await running, await waiting) == ("done", "waited")
    assert await threads.run(lambda: "free again", 10) == "free again"


async def test_the_deadline_tells_what_was_begun_from_what_was_not(threads: Threads) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)

    running = asyncio.create_task(threads.run(work, 0.2))
    await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(ProcessorBusy):
        await threads.run(lambda: pytest.fail("it was begun"), 0.05)
    with pytest.raises(OutcomeUnknown):
        await running
    go_on.set()


def test_amounts_are_written_as_texts() -> None:
    assert json.dumps(write_money("USD", 5)) == '{"currency_code": "USD", "value": "0.05"}'
    assert write_money("JPY", 1500)["value"] == "1500"
    assert write_money("HUF", 99000)["value"] == "990"
