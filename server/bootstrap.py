"""READ FIRST: the one place that names concrete parts and wires them. Called by `cli` for servers and workers.

A server and a worker are made of the same parts: `open_gateway` wires them, `run_server` and `run_worker` use them.
"""

import asyncio
import logging
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import Engine

from fraud_rules import DEFAULT_RULES, RulesetHolder, ScreeningFailure
from fraud_rules.trial import try_in_child
from server.jobs.worker import make_worker
from server.processors.contract import Account, Processor
from server.processors.registry import Registry
from server.rpc.merchant_service import MerchantUseCases
from server.rpc.payment_service import PaymentUseCases
from server.rpc.server import RpcServer, UseCases
from server.screening.screen import Screening, refuse_unservable
from server.settings import Settings
from server.storage.engine import Reads, make_engine
from server.storage.group_commit import GroupCommit
from server.storage.keyed_hash import Purpose, derive_key
from server.storage.payments import PaymentStore
from server.storage.processor_events import ProcessorEvents
from server.storage.sealing import Sealing
from server.storage.short_transactions import ShortTransactions
from server.storage.velocity import servable
from server.usecases.act import Act
from server.usecases.api_keys import ApiKeys
from server.usecases.authenticate import Authenticate
from server.usecases.cancel_payment import CancelPayment
from server.usecases.capture_payment import CapturePayment
from server.usecases.confirm_payment import ConfirmPayment
from server.usecases.create_payment import CreatePayment
from server.usecases.handle_event import HandleEvent
from server.usecases.idempotency import RequestHasher
from server.usecases.merchants import Merchants
from server.usecases.newest_first import NewestFirst
from server.usecases.operate import Operate
from server.usecases.page_tokens import PageTokens
from server.usecases.processor_accounts import ProcessorAccounts
from server.usecases.processor_accounts_lookup import PLATFORM_ACCOUNTS, Accounts, platform_account
from server.usecases.read_payments import GetPayment, ListPayments, ListTransactions
from server.usecases.receive_event import ReceiveEvent
from server.usecases.recover_transaction import RecoverTransaction
from server.usecases.refund_payment import RefundPayment
from server.usecases.replay import Replays
from server.usecases.shielding import Shield
from server.usecases.sweep import Sweep

_log = logging.getLogger(__name__)

LEASE_MARGIN_S = 10.0
"""A lease outlives the processor's deadline by this, so that nobody takes over an attempt that still runs."""
RULES_LOOK_EVERY_S = 1.0
_SPARE = 4
"""Threads and connections of the writer's role for what does not go through group commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """All parts, open and wired; `drain` waits for the work on money that outlives its callers."""

    settings: Settings
    use_cases: UseCases
    sweep: Sweep
    screening: Screening
    supported_currencies: frozenset[str]
    drain: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Opens connections and wires every part; closes them in the opposite order, queues written out first."""
    async with AsyncExitStack() as stack:
        writers = _engine(stack, settings.database_url.get_secret_value(), settings.database_writers + _SPARE)
        readers = _engine(stack, settings.database_reader_url.get_secret_value(), settings.database_readers)
        threads = stack.enter_context(ThreadPoolExecutor(_SPARE, thread_name_prefix="short"))
        commit = GroupCommit(writers, writers=settings.database_writers)
        stack.push_async_callback(commit.close)
        reads = Reads(readers, settings.database_readers)
        stack.callback(reads.close)
        adapters = make_adapters(settings)
        stack.push_async_callback(Registry(adapters).close)
        holder = RulesetHolder(
            settings.rules_path or DEFAULT_RULES,
            on_failure=_alarm,
            trial=try_in_child,
            accept=refuse_unservable(servable),
            block_threshold=None if settings.fraud_threshold is None else int(settings.fraud_threshold * 1000),
        )
        stack.callback(holder.close)
        yield _wire(
            settings, PaymentStore(commit, reads), ShortTransactions(writers, threads), writers, adapters, holder
        )


def _engine(stack: AsyncExitStack, url: str, connections: int) -> Engine:
    engine = make_engine(url, connections)
    stack.callback(engine.dispose)
    return engine


def _alarm(failure: ScreeningFailure) -> None:
    """Payments go on, decided by the stand-in or held for review; somebody must look at why."""
    _log.error("screening: the %s failed under ruleset %s: %s", failure.part, failure.ruleset_hash[:12], failure.detail)


def _wire(
    settings: Settings, store: PaymentStore, transactions: ShortTransactions, writers: Engine,
    adapters: Mapping[str, Processor], holder: RulesetHolder,
) -> Gateway:  # fmt: skip
    """Makes the use cases out of their parts."""
    registry = Registry(adapters)
    secret = settings.secret_key.get_secret_value()
    lease_s = settings.processor_deadline_s + LEASE_MARGIN_S
    sealing = Sealing([b64decode(key.get_secret_value()) for key in _encryption_keys(settings)])
    accounts = Accounts(transactions, sealing, platform_accounts(settings))
    tokens = PageTokens(derive_key(secret, Purpose.PAGE_TOKENS))
    hasher = RequestHasher(derive_key(secret, Purpose.REQUEST_HASHES), derive_key(secret, Purpose.CARD_FINGERPRINTS))
    screening, shield = Screening(holder), Shield()
    act = Act(store, accounts, registry)
    replays = Replays(store, lease_s=lease_s)
    operate = Operate(store, act, replays, hasher, shield, lease_s=lease_s)
    payments = PaymentUseCases(
        create=CreatePayment(store, accounts, registry, screening, act, replays, hasher, shield, lease_s=lease_s),
        capture=CapturePayment(store, registry, operate),
        cancel=CancelPayment(store, operate),
        confirm=ConfirmPayment(store, act, replays, hasher, shield, lease_s=lease_s),
        refund=RefundPayment(store, registry, operate),
        get=GetPayment(store),
        list=ListPayments(store, tokens),
        list_transactions=ListTransactions(store, tokens),
    )
    events = ProcessorEvents(writers)
    recover = RecoverTransaction(store, act, lease_s=lease_s)
    handle = HandleEvent(store, events, act, recover)
    key_hash = derive_key(secret, Purpose.API_KEYS)
    use_cases = UseCases(
        authenticate=Authenticate(transactions, key_hash),
        payments=payments,
        merchants=_merchant_use_cases(settings, transactions, tokens, sealing, adapters, key_hash),
        receive_event=ReceiveEvent(accounts, registry, events, handle, shield, PLATFORM_ACCOUNTS),
    )
    return Gateway(
        settings=settings,
        use_cases=use_cases,
        sweep=Sweep(store, events, writers, recover, handle),
        screening=screening,
        supported_currencies=frozenset(settings.supported_currencies) or _currencies(adapters),
        drain=shield.drain,
    )


def _merchant_use_cases(
    settings: Settings, transactions: ShortTransactions, tokens: PageTokens, sealing: Sealing,
    adapters: Mapping[str, Processor], key_hash: bytes,
) -> MerchantUseCases:  # fmt: skip
    pages = NewestFirst(transactions, tokens)
    names = {name: adapter.credential_names for name, adapter in adapters.items()}
    return MerchantUseCases(
        merchants=Merchants(transactions, pages, default_currency=settings.default_currency),
        api_keys=ApiKeys(transactions, pages, key_hash),
        processor_accounts=ProcessorAccounts(transactions, pages, sealing, names),
    )


def make_adapters(settings: Settings) -> Mapping[str, Processor]:
    """Makes the adapters, each behind its circuit breakers."""


def _currencies(adapters: Mapping[str, Processor]) -> frozenset[str]:
    return frozenset(currency for adapter in adapters.values() for currency in adapter.capabilities.currencies)


def _encryption_keys(settings: Settings) -> tuple[SecretStr, ...]:
    return (settings.encryption_key, *settings.encryption_keys_retired)


def platform_accounts(settings: Settings) -> tuple[Account, ...]:
    """Describes the platform's own processor accounts, those that settings configure."""
    accounts = []
    if settings.stripe_secret_key is not None and settings.stripe_webhook_secret is not None:
        stripe = {
            "secret_key": settings.stripe_secret_key.get_secret_value(),
            "webhook_secret": settings.stripe_webhook_secret.get_secret_value(),
        }
        accounts.append(platform_account("stripe", stripe, test_mode=settings.platform_test_mode))
    if settings.paypal_client_id is not None and settings.paypal_client_secret is not None:
        paypal = {
            "client_id": settings.paypal_client_id.get_secret_value(),
            "client_secret": settings.paypal_client_secret.get_secret_value(),
            "webhook_id": settings.paypal_webhook_id or "",
        }
        accounts.append(platform_account("paypal", paypal, test_mode=settings.platform_test_mode))
    return tuple(accounts)


async def run_server(settings: Settings) -> None:
    """Serves on one address until SIGTERM, taking up changed rule files within a second."""
    async with open_gateway(settings) as gateway:
        server = RpcServer(
            gateway.use_cases,
            listen=settings.listen,
            supported_currencies=gateway.supported_currencies,
            grace_s=settings.drain_grace_s,
            drain=gateway.drain,
        )
        refreshing = asyncio.create_task(_refresh_rules(gateway.screening))
        try:
            await server.run()
        finally:
            refreshing.cancel()


async def _refresh_rules(screening: Screening) -> None:
    while True:
        await asyncio.sleep(RULES_LOOK_EVERY_S)
        await asyncio.to_thread(screening.refresh)


async def run_worker(settings: Settings) -> None:
    """Runs the sweeps until SIGTERM; what a sweep has begun is finished first."""
    async with open_gateway(settings) as gateway:
        app = make_worker(settings.database_url.get_secret_value(), gateway.sweep)
        async with app.open_async():
            await app.run_worker_async(
                name="kassa", concurrency=4, delete_jobs="always", listen_notify=True, install_signal_handlers=True
            )


async def issue_platform_key(settings: Settings, name: str) -> str:
    """Makes a key that administers merchants, and returns its secret, which is shown this once."""
    async with open_gateway(settings) as gateway:
        return (await gateway.use_cases.merchants.api_keys.create_platform_key(name)).secret
