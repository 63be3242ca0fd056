"""Processes of the gateway for a test to kill by the hundred: forked with everything imported, each on its own port."""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

import grpc
import uvloop

from sandbox.local.launch import end_with_parent
from sandbox.local.parts import Site, gateway_environment
from sandbox.local.ports import LOOPBACK, free_port
from server import bootstrap, logs
from server.processors.contract import Account
from server.settings import Settings, load
from server.usecases.act import Accounts
from server.usecases.collect_fees import CollectFees
from server.usecases.decide_overdue_reviews import DecideOverdueReviews
from server.usecases.expire_payment import ExpirePayment
from server.usecases.find_disputes import FindDisputes
from server.usecases.recover_transaction import Recovered
from server.usecases.sweep import Sweep

# A fresh interpreter would import for two seconds; the fork server has imported once, and runs no thread.
_FORKS = multiprocessing.get_context("forkserver")
_LOADED_LATE = ("psycopg2", "sqlalchemy.dialects.postgresql.psycopg2", "stripe._payment_intent", "stripe._refund")
_FORKS.set_forkserver_preload(["server.cli", __name__, *_LOADED_LATE])
_FORKING = threading.Lock()
"""A start asks after every child, and an exit code can be read once: two threads that read it would both be misled."""
_LONG_S = 120.0

Orders = Mapping[str, object]
"""What `server.crash_points` reads: `kill` and `occurrence`, or `trace`."""
OpenTransaction = tuple[UUID, UUID, UUID]
"""Merchant, payment, transaction."""


@dataclass(frozen=True)
class Job:
    """Something that the worker does again and again.

    Attributes:
        work: One of this module's functions below; a process of its own finds it by its name.
        about: What it is told besides its settings.
    """

    work: Callable[..., Coroutine[None, None, None]]
    about: tuple[object, ...] = ()


@dataclass(frozen=True)
class Victim:
    """One process, which is not behind Envoy: nobody but the test sends it anything."""

    process: BaseProcess
    address: str

    def channel(self) -> grpc.Channel:
        """Connects as soon as it serves; a call that has been lost is not sent again."""
        pauses = {f"grpc.{which}_reconnect_backoff_ms": 50 for which in ("initial", "min", "max")}
        options = {"grpc.enable_retries": 0, "grpc.enable_http_proxy": 0, "grpc.use_local_subchannel_pool": 1}
        return grpc.insecure_channel(self.address, list((options | pauses).items()))

    def end(self) -> int | None:
        """Waits for its end, and returns its exit code, minus the signal that ended it; None while it lives on."""
        wait([self.process.sentinel], _LONG_S)
        with _FORKING:
            return self.process.exitcode

    def died(self) -> bool:
        """Waits for its end, and tells whether it was SIGKILL."""
        return self.end() == -signal.SIGKILL

    def kill(self) -> None:
        """Ends it from outside."""
        with _FORKING:
            self.process.kill()
        self.end()


@dataclass(frozen=True)
class Nursery:
    """Starts victims beside a running stack.

    Attributes:
        folder: Where their orders and their logs go.
    """

    site: Site
    folder: Path

    def serve(self, name: str, orders: Orders, lease_s: float) -> Victim:
        """Starts a server that obeys `orders`; whatever it leaves open is free for others after about `lease_s`."""
        address = f"{LOOPBACK}:{free_port()}"
        environment = self._environment(name, orders, lease_s) | {"KASSA_LISTEN": address}
        return Victim(self._start(_serve, name, environment), address)

    def do(self, job: Job, name: str, orders: Orders, lease_s: float) -> Victim:
        """Starts a process that does one thing of the worker's."""
        return Victim(self._start(job.work, name, self._environment(name, orders, lease_s), *job.about), "")

    def _environment(self, name: str, orders: Orders, lease_s: float) -> dict[str, str]:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(orders), encoding="utf-8")
        deadline_s = min(6.0, lease_s / 2)
        return gateway_environment(self.site) | {
            "KASSA_CRASH_POINTS_FILE": str(path),
            "KASSA_PROCESSOR_DEADLINE_S": str(deadline_s),
            "KASSA_LEASE_MARGIN_S": str(lease_s - deadline_s),
            "KASSA_DATABASE_WRITERS": "1",
            "KASSA_DATABASE_READERS": "1",
        }

    def _start(self, work: object, name: str, environment: Mapping[str, str], *args: object) -> BaseProcess:
        log = str(self.folder / f"{name}.log")
        process = _FORKS.Process(target=_be, args=(work, environment, log, *args), name=name, daemon=True)
        with _FORKING:
            process.start()
        return process


def _be(work, environment: Mapping[str, str], log: str, *args: object) -> None:  # type: ignore[no-untyped-def]
    end_with_parent(signal.SIGKILL)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # The stack's own server has tried the very same rule file.
    bootstrap.try_in_child = lambda *_: None  # type: ignore[assignment]
    settings = load(Settings)
    logs.configure(settings.log_level)
    uvloop.run(work(settings, *args))


async def _serve(settings: Settings) -> None:
    await bootstrap.run_server(settings)


async def sweep(settings: Settings) -> None:
    """Everything that a worker does, until it ends."""
    await bootstrap.run_worker(settings)


async def recover(settings: Settings, *what: UUID) -> None:
    """One transaction, an `OpenTransaction`; its lease must have ended."""
    async with bootstrap.open_core(settings) as core:
        assert await core.recover(*what) is not Recovered.BUSY, "its lease has not ended"


async def collect_fee(settings: Settings) -> None:
    """The fee that has been due for longest."""
    async with bootstrap.open_core(settings) as core:
        due = await CollectFees(core.store, core.transactions, core.accounts, core.registry, chunk=1)()
        assert due == 1, "no fee is due"


async def expire(settings: Settings) -> None:
    """The payment whose time has been over for longest."""
    async with bootstrap.open_core(settings) as core:
        one = ExpirePayment(core.store, core.transactions, core.act, core.recover, lease_s=core.lease_s)
        over = await Sweep(core.store, core.transactions, core.recover, core.handle, one, chunk=1).deadlines()
        assert over == 1, "no payment's time is over"


async def decide_review(settings: Settings) -> None:
    """The review that has been overdue for longest."""
    async with bootstrap.open_core(settings) as core:
        decide = DecideOverdueReviews(core.store, core.transactions, core.act, lease_s=core.lease_s, chunk=1)
        assert await decide() == 1, "no review is overdue"


@dataclass(frozen=True)
class _Only:
    """One account for all."""

    account_id: UUID
    accounts: Accounts

    async def every_id(self) -> list[UUID]:
        """Its id."""
        return [self.account_id]

    async def by_id(self, account_id: UUID) -> Account:
        """Any account by its id."""
        return await self.accounts.by_id(account_id)


async def find_disputes(settings: Settings, account_id: UUID) -> None:
    """The disputes of one account that no webhook told of."""
    async with bootstrap.open_core(settings) as core:
        only = _Only(account_id, core.accounts)
        assert await FindDisputes(core.store, core.transactions, only, core.registry, core.follow)(), "none is found"


async def find_all_disputes(settings: Settings) -> None:
    """Every account's."""
    async with bootstrap.open_core(settings) as core:
        await core.sweeps.find_disputes()
