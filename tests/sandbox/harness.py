"""A sandbox that runs in a thread of the test process, an inbox for its webhooks, and a witness of every exchange."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import paypalrestsdk
import requests
import stripe
from aiohttp import web

from sandbox.app import build
from sandbox.config import Config

Json = dict[str, Any]
T = TypeVar("T")
TIMEOUT_S = 20.0


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S * 2)

    def close(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()


@dataclass(frozen=True)
class Seen:
    """One request with its answer, as they were on the wire."""

    method: str
    path: str
    headers: dict[str, str]
    request: bytes
    status: int
    response: bytes


@dataclass(frozen=True)
class Received:
    """A webhook that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Json:
        """The body as JSON."""
        parsed: Json = json.loads(self.body)
        return parsed

    @property
    def type(self) -> str:
        """Stripe's or PayPal's name of the event."""
        return str(self.event.get("type") or self.event.get("event_type"))


@dataclass
class Inbox:
    """Takes webhooks. `answers` are the statuses of the next ones, 0 for none at all; 200 after that."""

    url: str
    answers: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    async def take(self, request: web.Request) -> web.Response:
        """The handler."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, headers, await request.read())
        with self.arrived:
            self.received.append(received)
            status = self.answers.pop(0) if self.answers else 200
            self.arrived.notify_all()
        if not status and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 500)

    def wait(self, enough: Callable[[list[Received]], bool]) -> list[Received]:
        """Waits until what has arrived is enough, and returns it."""
        with self.arrived:
            done = self.arrived.wait_for(lambda: enough(self.received), TIMEOUT_S)
            assert done, [one.type for one in self.received]
            return list(self.received)

    def wait_for(self, event_type: str, times: int = 1) -> list[Received]:
        """Waits for so many events of a type."""
        found = self.wait(lambda all_: sum(one.type == event_type for one in all_) >= times)
        return [one for one in found if one.type == event_type]


@dataclass
class Running:
    """A running sandbox."""

    url: str
    config: Config
    inbox: Inbox
    seen: list[Seen]

    def stripe(self, key: str = "sk_test_sandbox") -> stripe.StripeClient:
        """The official SDK, pointed here."""
        client = stripe.RequestsClient(session=_no_pool())
        return stripe.StripeClient(key, base_addresses={"api": self.url}, http_client=client, max_network_retries=0)

    def paypal(self, client: str = "sandbox-client", secret: str = "sandbox-secret") -> paypalrestsdk.Api:
        """The official SDK, pointed here."""
        return paypalrestsdk.Api(
            mode="sandbox", endpoint=self.url, token_endpoint=self.url, client_id=client, client_secret=secret
        )

    def post(self, path: str, body: Json) -> Json:
        """An admin call that must succeed."""
        response = requests.post(self.url + path, json=body, timeout=TIMEOUT_S)
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    def fault(self, kind: str, operation: str, **fields: Any) -> None:
        """Puts a fault in force."""
        self.post("/sandbox/faults", {"kind": kind, "operation": operation, **fields})

    def books(self, account: str = "acct_sandbox") -> Json:
        """An account's books."""
        answer = requests.get(f"{self.url}/books", params={"account": account}, timeout=TIMEOUT_S).json()
        found: Json = answer["accounts"][0]
        return found

    def choose(self, page: str, choice: str) -> str:
        """Does what a customer does on a page; where they are sent."""
        assert requests.get(page, timeout=TIMEOUT_S).status_code == 200
        answer = requests.post(page, data={"choice": choice}, allow_redirects=False, timeout=TIMEOUT_S)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]


def _no_pool() -> requests.Session:
    session = requests.Session()
    session.headers["Connection"] = "close"
    return session


@contextmanager
def running(loop: Loop, **settings: Any) -> Iterator[Running]:
    """Runs a sandbox and its inbox until the block ends."""
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=2048) for _ in range(2)]
    url, inbox_url = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in sockets)
    base = Config(public_url=url, webhook_url=inbox_url, later_s=0.05, retry_s=0.02, search_lag_s=0)
    config, inbox, seen = replace(base, **settings), Inbox(inbox_url), list[Seen]()

    async def start() -> list[web.AppRunner]:
        app, post_box = build(config), web.Application()
        app.middlewares.append(_witness(seen))
        post_box.router.add_post("/{path:.*}", inbox.take)
        runners = []
        for one, listener in ((app, sockets[0]), (post_box, sockets[1])):
            runner = web.AppRunner(one, access_log=None, shutdown_timeout=0.5)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            runners.append(runner)
        return runners

    runners = loop.run(start())
    try:
        yield Running(url, config, inbox, seen)
    finally:
        for runner in runners:
            loop.run(runner.cleanup())


def _witness(seen: list[Seen]) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
        headers = dict(request.headers)
        seen.append(Seen(request.method, request.path, headers, await request.read(), response.status, body))
        return response

    return middleware
