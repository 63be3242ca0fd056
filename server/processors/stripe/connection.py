"""Calls Stripe through its SDK: one HTTP session; for each account a client and slots. `adapter` owns it."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import orjson
import stripe

from server.processors import redaction
from server.processors.contract import Account, OutcomeUnknown, ProcessorBusy, ProcessorRejected
from server.processors.exchanges import exchange
from server.processors.stripe import kept
from server.processors.stripe.endpoint import LIVE_API_BASE, StripeEndpoint
from server.processors.stripe.logs import silence_sdk
from server.processors.stripe.refusals import CALL_ERRORS, Refusal, meaning

Json = dict[str, Any]
_PATH = re.compile(r"/v1(/[A-Za-z0-9_-]+)+")


@dataclass(slots=True)
class _Client:
    """What one account's calls share."""

    secret_key: str = field(repr=False)
    sdk: stripe.StripeClient
    slots: asyncio.Semaphore


class _HttpClient(stripe.AIOHTTPClient):
    """The SDK's client, which would follow a redirect and so send a card to wherever it leads; records every call."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        where = urlsplit(url)
        operation = f"{method.upper()} {where.path.lstrip('/')}"
        sent = where.query or post_data
        key = headers.get("Idempotency-Key", "")
        with exchange(operation, lambda: redaction.form(sent, kept.REQUEST), key) as told:
            try:
                content, status, answered = await super().request_async(method, url, headers, post_data)
            except CALL_ERRORS as error:
                told.failed(meaning(error))
                raise
            told.answered(status, _read(content), answered.get("Request-Id", ""))
        return content, status, answered

    def _get_request_args_kwargs(
        self, method: str, url: str, headers: Any, post_data: Any
    ) -> tuple[tuple[str, str], dict[str, Any]]:
        args, kwargs = super()._get_request_args_kwargs(method, url, headers, post_data)
        return args, {**kwargs, "allow_redirects": False}


def _read(content: bytes) -> Callable[[], Json] | None:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return lambda: redaction.answer(found, kept.RESPONSE)


def _checked(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ProcessorRejected("id_malformed")
    return path


def _plain(answer: stripe.StripeResponse) -> Json:
    if not isinstance(answer.data, dict):
        raise OutcomeUnknown("stripe's answer is no JSON object")
    return answer.data


class StripeConnection:
    """Belongs to the event loop of its first call."""

    def __init__(self, endpoint: StripeEndpoint) -> None:
        self._endpoint = endpoint
        self._clients: dict[UUID, _Client] = {}
        self._http: _HttpClient | None = None

    async def get(self, account: Account, path: str, params: Json | None = None) -> Json:
        """Reads an object or a list.

        Raises:
            OutcomeUnknown: Also where Stripe refuses: a question that is refused says nothing of what was asked about.
            ProcessorUnavailable, ProcessorRejected: As the contract has them.
        """
        try:
            return await self._call(account, "get", path, params or {}, {})
        except Refusal as refusal:
            raise OutcomeUnknown(str(refusal)) from None

    async def post(self, account: Account, path: str, params: Json, options: stripe.RequestOptions) -> Json:
        """Changes something, under the idempotency key of the options.

        Raises:
            Refusal: Stripe said no to this request.
            ProcessorUnavailable, OutcomeUnknown, ProcessorRejected: As the contract has them.
        """
        return await self._call(account, "post", path, params, options)

    async def _call(
        self, account: Account, method: str, path: str, params: Json, options: stripe.RequestOptions
    ) -> Json:
        client, checked = self._client(account), _checked(path)
        async with self._slot(client.slots):
            try:
                # Raw, since the SDK's objects cost many times what parsing the answer does, and we want plain JSON.
                answer = await client.sdk.raw_request_async(method, checked, **params, **options)
            except CALL_ERRORS as error:
                failed = meaning(error)
            else:
                return _plain(answer)
        # Outside of the handler: the SDK's errors hold headers and bodies, which a chained traceback would keep.
        raise failed

    async def close(self) -> None:
        """Closes the session; calls under way fail."""
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK's
        self._http = None
        self._clients.clear()

    @asynccontextmanager
    async def _slot(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._endpoint.slot_wait_s):
                await slots.acquire()
        except TimeoutError:
            raise ProcessorBusy(f"{self._endpoint.max_in_flight} calls to stripe are under way already") from None
        try:
            yield
        finally:
            slots.release()

    def _client(self, account: Account) -> _Client:
        secret_key = account.credentials["secret_key"]
        known = self._clients.get(account.id)
        if known is not None and known.secret_key == secret_key:
            return known
        # A live key must not be sent to another endpoint because its account was entered as a test account.
        if ("_live_" if account.test_mode else "_test_") in secret_key[:8]:
            raise ProcessorRejected("api_key_of_the_other_mode")
        slots = known.slots if known else asyncio.Semaphore(self._endpoint.max_in_flight)
        client = _Client(secret_key, self._sdk(account, secret_key), slots)
        self._clients[account.id] = client
        return client

    def _sdk(self, account: Account, secret_key: str) -> stripe.StripeClient:
        base = self._endpoint.api_base if account.test_mode else None
        return stripe.StripeClient(
            secret_key,
            base_addresses={"api": (base or LIVE_API_BASE).rstrip("/")},
            # A repeat within the call would hide a lost answer and outlast our deadline; recovery repeats instead.
            max_network_retries=0,
            http_client=self._shared_http(),
        )

    def _shared_http(self) -> _HttpClient:
        """Made by the first call, since a session belongs to a running loop."""
        if self._http is None:
            silence_sdk()
            endpoint = self._endpoint
            # Bounded by the slots instead: waiting inside the pool could not be told from a lost answer.
            tls = ssl.create_default_context(cafile=stripe.ca_bundle_path)
            connector = aiohttp.TCPConnector(limit=0, ssl=tls)
            timeout = aiohttp.ClientTimeout(
                total=endpoint.deadline_s, connect=min(endpoint.connect_s, endpoint.deadline_s)
            )
            self._http = _HttpClient(timeout=timeout, connector=connector)
        return self._http
