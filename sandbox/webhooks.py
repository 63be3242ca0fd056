"""Delivery of webhooks: signed at each attempt, repeated with growing pauses until a 2xx, faulty on command."""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import structlog

from sandbox.accounts import Account, Accounts, Endpoint, Processor
from sandbox.faults import Fault, Faults, Kind
from sandbox.store import Store

Signer = Callable[[Endpoint, bytes], Mapping[str, str]]

_GIVE_UP_AFTER_S: Final = 3 * 86_400
_AT_ONCE: Final = 64
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20)


@dataclass(slots=True)
class Delivery:
    """An event on its way to one endpoint. `body` is what is signed; `created` in seconds since the epoch."""

    account: str
    id: str
    endpoint: str
    event_id: str
    event_type: str
    body: str
    created: float


class Webhooks:
    """Sends events to the endpoints of their account.

    Args:
        pause: Seconds before the second attempt; doubles up to `longest_pause`.
    """

    def __init__(self, store: Store, accounts: Accounts, faults: Faults, pause: float, longest_pause: float) -> None:
        self._store = store
        self._table = store.table("delivery", Delivery)
        self._accounts = accounts
        self._faults = faults
        self._pause = pause
        self._longest_pause = longest_pause
        self._signers: dict[Processor, Signer] = {}
        self._held: dict[int, list[Delivery]] = {}
        self._delivered: dict[str, set[str]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._log = structlog.get_logger("sandbox.webhooks")

    def sign_with(self, processor: Processor, signer: Signer) -> None:
        """Says how a processor signs: from endpoint and body to the headers."""
        self._signers[processor] = signer

    def start(self) -> None:
        """Opens the client and takes up what an earlier process left."""
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        for delivery in self._table.all():
            self._spawn(self._deliver(delivery))

    async def stop(self) -> None:
        """Ends; what is undelivered stays in the file."""
        for timer in self._timers.values():
            timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def undelivered(self) -> int:
        """How many deliveries still wait for their 2xx."""
        return self._table.count()

    def delivered(self, account_id: str) -> set[str]:
        """The account's events that were answered with 2xx since this process began, by id."""
        return self._delivered.get(account_id, set())

    def forget(self, account_id: str) -> None:
        """Lets go of an account's deliveries; those under way end by themselves."""
        self._delivered.pop(account_id, None)

    def send(self, account: Account, event_id: str, event_type: str, body: bytes) -> None:
        """Sends an event to every endpoint of the account that wants it."""
        for endpoint in account.endpoints:
            if endpoint.wants(event_type):
                self.send_to(account, endpoint, (event_id, event_type), body)

    def send_to(self, account: Account, endpoint: Endpoint, event: tuple[str, str], body: bytes) -> None:
        """Sends an event, named by id and type, to one endpoint."""
        drawn = self._faults.draw(f"{account.processor}.webhook.{event[1]}", account.id)
        if any(fault.rule.kind is Kind.WEBHOOK_DROP for fault in drawn):
            return
        copies = 1 + sum(fault.rule.copies for fault in drawn if fault.rule.kind is Kind.WEBHOOK_DUPLICATE)
        delay = sum(fault.seconds() for fault in drawn if fault.rule.kind is Kind.WEBHOOK_DELAY)
        reorder = next((fault for fault in drawn if fault.rule.kind is Kind.WEBHOOK_REORDER), None)
        for _ in range(copies):
            delivery = Delivery(
                account.id, secrets.token_hex(8), endpoint.id, *event, body.decode(), created=time.time()
            )
            self._table.put(delivery)
            if reorder:
                self._hold(reorder, delivery)
            else:
                self._spawn(self._deliver(delivery, delay))

    def _hold(self, fault: Fault, delivery: Delivery) -> None:
        held = self._held.setdefault(fault.id, [])
        held.append(delivery)
        if len(held) >= fault.rule.window:
            self._release(fault)
        elif len(held) == 1:
            seconds = fault.rule.seconds or 2.0
            self._timers[fault.id] = asyncio.get_running_loop().call_later(seconds, self._release, fault)

    def _release(self, fault: Fault) -> None:
        self._timers.pop(fault.id).cancel()
        self._spawn(self._deliver_in_turn(self._held.pop(fault.id)[::-1]))

    async def _deliver_in_turn(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if not await self._attempt(delivery):
                self._spawn(self._deliver(delivery, self._pause))

    async def _deliver(self, delivery: Delivery, delay: float = 0.0) -> None:
        await asyncio.sleep(delay)
        pause = self._pause
        while not await self._attempt(delivery):
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._longest_pause)

    async def _attempt(self, delivery: Delivery) -> bool:
        """Tries once; True when there is no more to do."""
        account = self._accounts.get(delivery.account)
        endpoint = next((e for e in account.endpoints if e.id == delivery.endpoint), None) if account else None
        done = (
            account is None
            or endpoint is None
            or time.time() - delivery.created > _GIVE_UP_AFTER_S
            or await self._post(account, endpoint, delivery)
        )
        if done:
            self._table.remove(delivery)
            self._store.flush()
        return done

    async def _post(self, account: Account, endpoint: Endpoint, delivery: Delivery) -> bool:
        assert self._session is not None
        body = delivery.body.encode()
        headers = {"Content-Type": "application/json", **self._signers[account.processor](endpoint, body)}
        try:
            async with (
                self._slots,
                self._session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            self._log.info("webhook not delivered", event_type=delivery.event_type, cause=type(error).__name__)
            return False
        taken = 200 <= status < 300  # the range of success
        if taken:
            self._delivered.setdefault(delivery.account, set()).add(delivery.event_id)
        return taken

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
