"""The gateway as `bootstrap` wires it, without its gRPC face: this worker's database, and the sandbox's processors."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import requests
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, create_engine, text

from server.bootstrap import Core, make_use_cases, open_core
from server.domain.errors import KassaError, Reason
from server.domain.payment import CaptureMethod, FraudDecision, Method, Payment, Transaction
from server.metrics import Metrics
from server.processors.contract import Instrument, Wallet
from server.rpc.fraud_service import FraudUseCases
from server.rpc.payment_service import PaymentUseCases
from server.screening.screen import Screening
from server.settings import Settings
from server.storage.open_payments import Opened
from server.storage.reads import get_payment, list_transactions
from server.usecases.answers import Caller
from server.usecases.processor_accounts_lookup import PLATFORM_ACCOUNTS
from tests.cluster import TEMPLATE, Cluster, Database
from tests.factories import make_payment
from tests.processors.requests_to_processors import make_card
from tests.processors.sandbox_process import Json, Sandbox, running
from tests.refusals import again_while
from tests.storage.conftest import ALLOWED, Till

THREE_D_SECURE = "4000002760003184"


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The real sandbox."""
    with running(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


@pytest.fixture(scope="module")
def own_database(postgres: Cluster) -> Iterator[Database]:
    """A database of one module's tests alone."""
    name = f"kassa_own_{uuid4().hex}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def owner(own_database: Database) -> Iterator[Engine]:
    """Whoever can do there what servers cannot; the guards of Postgres are off, so that there is something to find."""
    engine = create_engine(own_database.owner_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER USER"))
        for guard in ("refunds_within_captured", "payments_check1"):
            connection.execute(text(f"ALTER TABLE payments DROP CONSTRAINT {guard}"))
    yield engine
    engine.dispose()


def empty(owner: Engine) -> None:
    """Makes the database as it was."""
    tables = (
        "payments, ledger_entries, idempotency_keys, processor_objects, attention_items, fees_due, payment_deadlines, "
        "books_drift, sweep_positions"
    )
    with owner.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} CASCADE"))


async def to_its_end(call: Callable[[], Awaitable[object]]) -> None:
    """Carries a contender of a race to its end, which may be a refusal."""
    with suppress(KassaError):
        await again_while(Reason.OVERLOADED, call)


@dataclass
class Gateway:
    """One merchant at a wired gateway, with accounts of its own at the sandbox; no webhook ever comes."""

    core: Core
    sandbox: Sandbox
    till: Till
    use_cases: PaymentUseCases
    books: dict[str, str]
    """The sandbox's id of the account at each processor."""
    metrics: Metrics

    @property
    def caller(self) -> Caller:
        """The merchant."""
        return Caller(self.till.merchant, test_mode=True)

    async def pay(
        self, instrument: Instrument | None = None, decision: FraudDecision = ALLOWED, **changes: Any
    ) -> Payment:
        """Asks the processor for 19.99 USD, and returns the payment as it stands then."""
        wallet = isinstance(instrument, Wallet)
        processor = "paypal" if wallet else "stripe"
        facts: dict[str, Any] = {
            "merchant_id": self.till.merchant,
            "processor": processor,
            "processor_account_id": PLATFORM_ACCOUNTS[processor],
            "method": Method.DIGITAL_WALLET if wallet else Method.CREDIT_CARD,
            "capture_method": CaptureMethod.MANUAL,
            "return_url": "https://shop.example/done",
            "cancel_url": "https://shop.example/cancelled",
        }
        opened = await self.till.open(make_payment(**(facts | changes)), decision=decision)
        assert isinstance(opened, Opened)
        settled = await self.core.act.authorize(opened.payment, opened.transaction, instrument or make_card())
        return settled.payment

    async def capture(self, payment: Payment, amount: int | None = None) -> Payment:
        """Captures as the merchant."""
        return (await self.use_cases.capture(self.caller, str(uuid4()), payment.id, amount)).value

    async def refund(self, payment: Payment, amount: int | None = None) -> Transaction:
        """Refunds as the merchant."""
        return (await self.use_cases.refund(self.caller, str(uuid4()), payment.id, amount, None)).value

    async def now(self, payment: Payment) -> Payment:
        """The payment as it stands."""
        found = await self.core.store.read(get_payment, payment.merchant_id, payment.id)
        assert found is not None
        return found

    async def transactions(self, payment: Payment) -> list[Transaction]:
        """What was asked of the processor, oldest first."""
        return await self.core.store.read(list_transactions, payment.merchant_id, payment.id, UUID(int=0), 100)

    def booked(self, payment: Payment) -> Json:
        """What the processor believes of the payment."""
        entries = self.sandbox.payments(self.books[payment.processor])
        return next(one for one in entries if one["id"] == payment.processor_payment_id)

    def at_stripe(self, path: str, **body: object) -> Json:
        """Does in Stripe's dashboard what Kassa does not know of."""
        key = self.core.settings.stripe_secret_key
        assert key is not None
        headers = {"authorization": f"Bearer {key.get_secret_value()}"}
        answer = requests.post(f"{self.sandbox.url}/v1/{path}", data=body, headers=headers, timeout=30)
        assert answer.ok, answer.text
        found: Json = answer.json()
        return found

    def fault(self, processor: str, kind: str, operation: str, **rule: Any) -> None:
        """Makes a processor misbehave, once unless told otherwise."""
        self.sandbox.fault(self.books[processor], kind, operation, **rule)

    def write(self, sql: str, **values: object) -> int:
        """Changes rows of this merchant (`:merchant`) behind the gateway's back; returns how many."""
        with self.till.engine.begin() as connection:
            return connection.execute(text(sql), {"merchant": self.till.merchant} | values).rowcount


def fraud_use_cases(core: Core) -> FraudUseCases:
    """What FraudService calls."""
    return make_use_cases(core, cast(Screening, None)).fraud


@asynccontextmanager
async def gateway_at(database: Database, sandbox: Sandbox, **changes: Any) -> AsyncIterator[Gateway]:
    """Opens a gateway whose settings are changed."""
    key, client, secret = f"sk_test_{secrets.token_hex(8)}", f"client-{secrets.token_hex(8)}", secrets.token_hex(16)
    books = {
        "stripe": sandbox.register(processor="stripe", api_key=key)["id"],
        "paypal": sandbox.register(processor="paypal", client_id=client, client_secret=secret)["id"],
    }
    values: dict[str, Any] = {
        "database_url": database.writer_url,
        "database_reader_url": database.reader_url,
        "secret_key": "s" * 32,
        "encryption_key": "ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU=",
        "stripe_api_base": sandbox.url,
        "stripe_secret_key": key,
        "stripe_webhook_secret": "whsec_1",
        "paypal_api_base": sandbox.url,
        "paypal_client_id": client,
        "paypal_client_secret": secret,
        "paypal_webhook_id": "WH-1",
        "processor_deadline_s": 15.0,
    }
    metrics = Metrics(CollectorRegistry())
    async with open_core(Settings(**(values | changes)), metrics) as core:
        use_cases = make_use_cases(core, cast(Screening, None)).payments
        engine = core.transactions._engine
        yield Gateway(core, sandbox, Till(core.store, core.commit, engine), use_cases, books, metrics)
        await core.shield.drain()


@pytest.fixture
async def gateway(database: Database, sandbox: Sandbox) -> AsyncIterator[Gateway]:
    """The gateway with its usual settings."""
    async with gateway_at(database, sandbox) as found:
        yield found
