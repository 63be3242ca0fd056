"""READ FIRST: the one place that names concrete parts and wires them. Called by `cli` for servers and workers.

`open_core` makes what servers and workers share; `make_use_cases` adds what a server's callers reach.
"""

import asyncio
import logging
import signal
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from server import clock, crash_points
from server.bootstrap_fraud import open_screening
from server.bootstrap_reviews import make_fraud_use_cases, open_lists, review_terms
from server.domain.expiry import PATIENCE, Lifetimes
from server.domain.timeline import TimelineEntry
from server.jobs.standing import show_standing
from server.jobs.worker import Sweeps, keep_sweeping
from server.metrics import Metrics, StandingMetrics, serving
from server.processors.contract import Account, Processor
from server.processors.guarded import Guarded
from server.processors.observed import Observe, Observed
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from server.processors.registry import Registry
from server.processors.stripe import StripeEndpoint, StripeProcessor
from server.rpc.attention_service import AttentionUseCases
from server.rpc.dispute_service import DisputeUseCases
from server.rpc.merchant_service import MerchantUseCases
from server.rpc.payment_service import PaymentUseCases
from server.rpc.server import RpcServer, UseCases
from server.screening.screen import Screening
from server.settings import Settings
from server.storage.engine import Reads, make_engine
from server.storage.group_commit import GroupCommit, overloaded
from server.storage.keyed_hash import Purpose, derive_key
from server.storage.payments import PaymentStore
from server.storage.sealing import Sealing
from server.storage.short_transactions import ShortTransactions
from server.storage.timeline import read_whole_timeline
from server.usecases.act import Act
from server.usecases.answer_dispute import AnswerDispute
from server.usecases.api_keys import ApiKeys
from server.usecases.attention import ListAttention, ResolveAttention
from server.usecases.authenticate import Authenticate
from server.usecases.cancel_payment import CancelPayment
from server.usecases.capture_payment import CapturePayment
from server.usecases.check_books import CheckBooks
from server.usecases.collect_fees import CollectFees
from server.usecases.compare_processor import CompareProcessor
from server.usecases.confirm_payment import ConfirmPayment
from server.usecases.create_payment import CreatePayment
from server.usecases.decide_overdue_reviews import DecideOverdueReviews
from server.usecases.expire_payment import ExpirePayment
from server.usecases.find_disputes import FindDisputes
from server.usecases.follow_dispute import FollowDispute
from server.usecases.handle_event import HandleEvent
from server.usecases.idempotency import RequestHasher
from server.usecases.keep_counters import KeepCounters
from server.usecases.merchants import Merchants
from server.usecases.newest_first import NewestFirst
from server.usecases.operate import Operate
from server.usecases.page_tokens import PageTokens
from server.usecases.processor_accounts import ProcessorAccounts
from server.usecases.processor_accounts_lookup import PLATFORM_ACCOUNTS, Accounts, platform_account
from server.usecases.read_disputes import GetDispute, ListDisputes
from server.usecases.read_ledger import ReadLedger
from server.usecases.read_payments import GetPayment, GetTimeline, ListPayments, ListTransactions
from server.usecases.receive_event import ReceiveEvent
from server.usecases.recover_transaction import RecoverTransaction
from server.usecases.refund_payment import RefundPayment
from server.usecases.replay import Replays
from server.usecases.shielding import Shield
from server.usecases.sweep import Sweep

_log = logging.getLogger(__name__)

MakeProcessors = Callable[[Settings], Iterable[Processor]]
"""Makes the adapters; benchmarks put a stand-in in their place."""

DATABASE_LOOK_EVERY_S = 1.0
LONGEST_WAIT_S = 5.0
"""A row that has waited longer for its commit says that this server cannot serve."""
_SPARE = 4
"""Threads and connections of the writer's role for what does not go through group commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What servers and workers share, open and wired."""

    settings: Settings
    adapters: Mapping[str, Processor]
    registry: Registry
    commit: GroupCommit
    reads: Reads
    store: PaymentStore
    transactions: ShortTransactions
    sealing: Sealing
    accounts: Accounts
    act: Act
    follow: FollowDispute
    recover: RecoverTransaction
    handle: HandleEvent
    sweeps: Sweeps
    shield: Shield
    lease_s: float

    def key(self, purpose: Purpose) -> bytes:
        """Derives the secret of one purpose."""
        return derive_key(self.settings.secret_key.get_secret_value(), purpose)

    def hasher(self) -> RequestHasher:
        """Makes what tells whether a repeat is the same request."""
        return RequestHasher(
            self.key(Purpose.REQUEST_HASHES),
            self.key(Purpose.CARD_FINGERPRINTS),
            self.key(Purpose.PLATFORM_VELOCITY),
        )


@asynccontextmanager
async def open_core(
    settings: Settings, metrics: Metrics | None = None, make_processors: MakeProcessors | None = None
) -> AsyncIterator[Core]:
    """Opens connections and wires the parts; closes them in the opposite order, queues written out first."""
    metrics = metrics or Metrics(CollectorRegistry())
    if settings.crash_points_file is not None:
        _log.warning("this process obeys the crash points of %s", settings.crash_points_file)
        crash_points.arm(settings.crash_points_file)
    clock.mislead(settings.clock_offset_file)
    async with AsyncExitStack() as stack:
        writer_url = settings.database_url.get_secret_value()
        alone = _engine(stack, writer_url, settings.database_writers + _SPARE, alone=True)
        writers = _engine(stack, writer_url, _SPARE)
        readers = _engine(stack, settings.database_reader_url.get_secret_value(), settings.database_readers, alone=True)
        threads = stack.enter_context(ThreadPoolExecutor(_SPARE, thread_name_prefix="short"))
        commit = GroupCommit(alone, writers=settings.database_writers, observe=metrics.batch_written)
        metrics.watch_queue(commit)
        stack.push_async_callback(commit.close)
        reads = Reads(readers, settings.database_readers)
        stack.callback(reads.close)
        adapters = make_adapters((make_processors or our_processors)(settings), metrics.processor_called)
        registry = Registry(adapters)
        stack.push_async_callback(registry.close)
        store = PaymentStore(commit, reads, metrics.settled)
        yield _wire(settings, commit, reads, store, ShortTransactions(writers, threads, alone), registry, adapters)


def _engine(stack: AsyncExitStack, url: str, connections: int, *, alone: bool = False) -> Engine:
    engine = make_engine(url, connections, alone=alone)
    stack.callback(engine.dispose)
    return engine


def _wire(
    settings: Settings, commit: GroupCommit, reads: Reads, store: PaymentStore, transactions: ShortTransactions,
    registry: Registry, adapters: Mapping[str, Processor],
) -> Core:  # fmt: skip
    lease_s = settings.processor_deadline_s + settings.lease_margin_s
    encryption_keys = (settings.encryption_key, *settings.encryption_keys_retired)
    sealing = Sealing([b64decode(key.get_secret_value()) for key in encryption_keys])
    accounts = Accounts(transactions, sealing, platform_accounts(settings))
    act = Act(store, accounts, registry, _patience(settings))
    follow = FollowDispute(store, accounts, registry)
    recover = RecoverTransaction(store, act, follow, lease_s=lease_s)
    handle = HandleEvent(store, transactions, act, follow, recover)
    expire = ExpirePayment(store, transactions, act, recover, lease_s=lease_s)
    return Core(
        settings=settings,
        adapters=adapters,
        registry=registry,
        commit=commit,
        reads=reads,
        store=store,
        transactions=transactions,
        sealing=sealing,
        accounts=accounts,
        act=act,
        follow=follow,
        recover=recover,
        handle=handle,
        sweeps=Sweeps(
            sweep=Sweep(store, transactions, recover, handle, expire),
            collect_fees=CollectFees(store, transactions, accounts, registry),
            check_books=CheckBooks(reads, transactions),
            compare_processor=CompareProcessor(store, transactions, accounts, registry),
            find_disputes=FindDisputes(store, transactions, accounts, registry, follow),
            decide_reviews=DecideOverdueReviews(store, transactions, act, lease_s=lease_s),
            keep_counters=KeepCounters(transactions),
        ),
        shield=Shield(),
        lease_s=lease_s,
    )


def _patience(settings: Settings) -> Lifetimes:
    hours = settings.authorization_lifetime_h
    hold = PATIENCE.hold if hours is None else timedelta(hours=hours)
    return Lifetimes(timedelta(hours=settings.approval_lifetime_h), hold, review_terms(settings))


def our_processors(settings: Settings) -> tuple[Processor, ...]:
    """Makes the adapters of the processors that we know."""
    stripe = StripeEndpoint(api_base=settings.stripe_api_base, deadline_s=settings.processor_deadline_s)
    anchor = settings.paypal_trust_anchor
    paypal = PayPalEndpoint(
        api_base=settings.paypal_api_base,
        certificate_hosts=frozenset(settings.paypal_certificate_hosts),
        trust_anchor_pem=None if anchor is None else anchor.read_bytes(),
        # Whoever speaks plain HTTP to a stand-in on the same machine gets its certificates so, too.
        allow_http_certificates=(settings.paypal_api_base or "").startswith("http://"),
        deadline_s=settings.processor_deadline_s,
    )
    return StripeProcessor(stripe), PayPalProcessor(paypal)


def make_adapters(made: Iterable[Processor], observe: Observe) -> Mapping[str, Processor]:
    """Watches each adapter, and puts it behind its circuit breakers."""
    return {adapter.name: Guarded(Observed(adapter, observe)) for adapter in made}


def make_use_cases(core: Core, screening: Screening) -> UseCases:
    """Makes what the gRPC face calls."""
    tokens = PageTokens(core.key(Purpose.PAGE_TOKENS))
    return UseCases(
        authenticate=Authenticate(core.transactions, core.key(Purpose.API_KEYS)),
        payments=_payment_use_cases(core, screening),
        disputes=_dispute_use_cases(core),
        merchants=_merchant_use_cases(core),
        attention=_attention_use_cases(core),
        fraud=make_fraud_use_cases(
            core.store, core.reads, core.transactions, tokens, _operate(core), core.hasher(), core.shield
        ),
        ledger=ReadLedger(core.reads, core.transactions, NewestFirst(core.reads, tokens)),
        receive_event=ReceiveEvent(
            core.accounts, core.registry, core.transactions, core.handle, core.shield, PLATFORM_ACCOUNTS
        ),
    )


def _payment_use_cases(core: Core, screening: Screening) -> PaymentUseCases:
    store, registry, act, shield, lease_s = core.store, core.registry, core.act, core.shield, core.lease_s
    tokens, hasher, operate = PageTokens(core.key(Purpose.PAGE_TOKENS)), core.hasher(), _operate(core)
    replays = Replays(store, lease_s=lease_s)
    return PaymentUseCases(
        create=CreatePayment(
            store,
            core.accounts,
            registry,
            screening,
            act,
            replays,
            hasher,
            shield,
            lease_s=lease_s,
            max_daily_transactions=core.settings.max_daily_transactions,
        ),
        capture=CapturePayment(store, registry, operate),
        cancel=CancelPayment(store, operate),
        confirm=ConfirmPayment(store, act, replays, hasher, shield, lease_s=lease_s),
        refund=RefundPayment(store, registry, operate),
        get=GetPayment(store),
        list=ListPayments(NewestFirst(core.reads, tokens)),
        list_transactions=ListTransactions(store, tokens),
        timeline=GetTimeline(store, tokens),
    )


def _operate(core: Core) -> Operate:
    replays = Replays(core.store, lease_s=core.lease_s)
    return Operate(core.store, core.act, replays, core.hasher(), core.shield, lease_s=core.lease_s)


def _dispute_use_cases(core: Core) -> DisputeUseCases:
    return DisputeUseCases(
        answer=AnswerDispute(core.store, core.follow, core.hasher(), core.shield, lease_s=core.lease_s),
        get=GetDispute(core.store),
        list=ListDisputes(core.store, NewestFirst(core.reads, PageTokens(core.key(Purpose.PAGE_TOKENS)))),
    )


def _merchant_use_cases(core: Core) -> MerchantUseCases:
    pages = NewestFirst(core.transactions, PageTokens(core.key(Purpose.PAGE_TOKENS)))
    names = {name: adapter.credential_names for name, adapter in core.adapters.items()}
    return MerchantUseCases(
        merchants=Merchants(core.transactions, pages, default_currency=core.settings.default_currency),
        api_keys=ApiKeys(core.transactions, pages, core.key(Purpose.API_KEYS)),
        processor_accounts=ProcessorAccounts(core.transactions, pages, core.sealing, names),
    )


def _attention_use_cases(core: Core) -> AttentionUseCases:
    pages = NewestFirst(core.reads, PageTokens(core.key(Purpose.PAGE_TOKENS)))
    return AttentionUseCases(list=ListAttention(pages), resolve=ResolveAttention(core.transactions))


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


def _supported_currencies(core: Core) -> frozenset[str]:
    every = (currency for adapter in core.adapters.values() for currency in adapter.capabilities.currencies)
    return frozenset(core.settings.supported_currencies) or frozenset(every)


async def run_server(settings: Settings, make_processors: MakeProcessors | None = None) -> None:
    """Serves on one address until SIGTERM, obeying what is released or edited of the rules."""
    metrics = Metrics(CollectorRegistry())
    async with (
        open_core(settings, metrics, make_processors) as core,
        open_lists(core.reads) as lists,
        open_screening(settings, core.reads, core.transactions, lists, metrics.registry) as screening,
    ):
        with serving(metrics.registry, settings.metrics_listen):
            server = RpcServer(
                make_use_cases(core, screening),
                listen=settings.listen,
                pace=core.commit,
                supported_currencies=_supported_currencies(core),
                pause_s=settings.drain_pause_s,
                grace_s=settings.drain_grace_s,
                drain=core.shield.drain,
                observe=metrics.call_ended,
                refusal=lambda: overloaded() if core.commit.is_overloaded() else None,
            )
            watching = asyncio.create_task(_watch_database(core, server))
            try:
                await server.run()
            finally:
                watching.cancel()


async def _watch_database(core: Core, server: RpcServer) -> None:
    """Keeps callers away while Postgres does not answer or takes no writes: Envoy asks the health service."""
    able = True
    while True:
        await asyncio.sleep(DATABASE_LOOK_EVERY_S)
        now_able = await core.reads.answers() and core.commit.longest_wait_s() < LONGEST_WAIT_S
        if now_able is not able:
            able = now_able
            _log.warning("the database %s", "answers again" if able else "does not answer, or takes no writes")
            await server.tell_health(able)


async def run_worker(settings: Settings, make_processors: MakeProcessors | None = None) -> None:
    """Runs the sweeps until SIGTERM; what a sweep has begun is finished first. Outlives a database that goes away."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    metrics = Metrics(CollectorRegistry())
    async with open_core(settings, metrics, make_processors) as core:
        with serving(metrics.registry, settings.metrics_listen):
            standing = StandingMetrics(metrics.registry)
            showing = asyncio.create_task(show_standing(core.reads, standing.show))
            try:
                await keep_sweeping(settings.database_url.get_secret_value(), core.sweeps, told)
            finally:
                showing.cancel()


async def issue_platform_key(settings: Settings, name: str) -> str:
    """Makes a key that administers merchants, and returns its secret, which is shown this once."""
    async with open_core(settings) as core:
        return (await _merchant_use_cases(core).api_keys.create_platform_key(name)).secret


def read_payment_timeline(settings: Settings, payment_id: UUID) -> list[TimelineEntry]:
    """Reads all that is known of a payment, of whichever merchant; empty where there is none."""
    engine = make_engine(settings.database_reader_url.get_secret_value(), 1)
    try:
        with engine.connect() as connection:
            return read_whole_timeline(connection, payment_id)
    finally:
        engine.dispose()
