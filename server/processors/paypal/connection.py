"""Calls PayPal on a bounded pool of threads of its own, since the SDK blocks. `adapter` owns it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from server.processors import redaction
from server.processors.contract import Account, OutcomeUnknown, ProcessorBusy, ProcessorRejected
from server.processors.exchanges import Told, exchange
from server.processors.paypal import kept
from server.processors.paypal.api import Answer, Api, Form, check_path
from server.processors.paypal.endpoint import LIVE_API_BASE, TEST_API_BASE, PayPalEndpoint
from server.processors.paypal.refusals import CALL_ERRORS, meaning, quoted

Json = dict[str, Any]
T = TypeVar("T")


class Threads:
    """Runs blocking calls on threads of its own; a call that finds no place is never begun.

    Args:
        threads: Calls at once.
        max_queued: Calls that may wait for a thread.
    """

    def __init__(self, name: str, threads: int, max_queued: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + max_queued)

    async def run(self, call: Callable[[], T], deadline_s: float) -> T:
        """Returns what the call returns, or raises what it raises.

        Raises:
            ProcessorBusy: It was not begun.
            OutcomeUnknown: It was not over in time; its thread goes on without us.
        """
        if not self._places.acquire(blocking=False):
            raise ProcessorBusy("all threads for calls to paypal are busy")
        future = self._executor.submit(call)
        future.add_done_callback(lambda _: self._places.release())
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.cancel():
                raise ProcessorBusy("no thread for a call to paypal came free in time") from None
            raise OutcomeUnknown(f"paypal did not answer within {deadline_s:g} s") from None

    def close(self) -> None:
        """Takes no more calls; those under way end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Client:
    client_id: str
    client_secret: str = field(repr=False)
    api: Api


class PayPalConnection:
    """One transport for each account."""

    def __init__(self, endpoint: PayPalEndpoint) -> None:
        self._endpoint = endpoint
        self._threads = Threads("paypal", endpoint.threads, endpoint.max_queued)
        self._clients: dict[UUID, _Client] = {}

    async def get(self, account: Account, path: str, query: Mapping[str, str] | None = None) -> Json:
        """Reads an object, or a list. Raises as `post` does."""
        api, checked = self._api(account), _checked(path)
        address = f"{checked}?{urlencode(query)}" if query else checked
        with exchange(f"GET {checked}", dict) as told:
            return await self._run(lambda: api.get(address), told)

    async def post(self, account: Account, path: str, body: Json | Form, key: str) -> Json:
        """Makes a call under an idempotency key.

        Raises:
            Refusal: PayPal said no to this request.
            ProcessorUnavailable, OutcomeUnknown, ProcessorRejected: As the contract has them.
        """
        api, checked = self._api(account), _checked(path)
        headers = {"PayPal-Request-Id": key, "Prefer": "return=representation"}
        fields = body.input if isinstance(body, Form) else body
        with exchange(f"POST {checked}", lambda: redaction.body(fields, kept.REQUEST), key) as told:
            return await self._run(lambda: api.post(checked, body, headers), told)

    async def close(self) -> None:
        """Lets go of threads and connections; calls under way end by themselves."""
        self._threads.close()
        for client in self._clients.values():
            client.api.close()
        self._clients.clear()

    async def _run(self, call: Callable[[], Answer], told: Told) -> Json:
        try:
            answer = await self._threads.run(call, self._endpoint.deadline_s)
            told.answered(answer.status, lambda: redaction.answer(answer, kept.RESPONSE), answer.debug_id)
            return answer
        except ProcessorBusy as busy:
            told.failed(busy)
            raise
        except CALL_ERRORS as error:
            failed = meaning(error)
            _tell(told, error, failed)
        # Outside of the handler: requests' errors hold the request with its headers and body.
        raise failed

    def _api(self, account: Account) -> Api:
        client_id, client_secret = account.credentials["client_id"], account.credentials["client_secret"]
        known = self._clients.get(account.id)
        if known is not None and (known.client_id, known.client_secret) == (client_id, client_secret):
            return known.api
        base = (self._endpoint.api_base or TEST_API_BASE) if account.test_mode else LIVE_API_BASE
        timeout_s = (self._endpoint.connect_s, self._endpoint.deadline_s)
        api = Api(base, client_id, client_secret, timeout_s, self._endpoint.threads)
        self._clients[account.id] = _Client(client_id, client_secret, api)
        return api


def _tell(told: Told, error: Exception, failed: Exception) -> None:
    """Records an answer that came as an error, or that none came."""
    found = quoted(error)
    if found is None:
        told.failed(failed)
    else:
        status, text, debug_id = found
        told.answered(status, None if text is None else lambda: redaction.answer(text, kept.RESPONSE), debug_id)


def _checked(path: str) -> str:
    try:
        return check_path(path)
    except ValueError:
        raise ProcessorRejected("id_malformed") from None
