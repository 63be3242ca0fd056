"""Merchants over this worker's own database, through the real gRPC server."""

from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import grpc.aio
import pytest
from kassa.v1 import merchant_service_pb2 as pb
from kassa.v1 import merchant_service_pb2_grpc
from sqlalchemy import Engine, text

from server.rpc.attention_service import AttentionUseCases
from server.rpc.dispute_service import DisputeUseCases
from server.rpc.fraud_service import FraudUseCases
from server.rpc.merchant_service import MerchantUseCases
from server.rpc.payment_service import PaymentUseCases
from server.rpc.server import RpcServer, UseCases
from server.rpc.webhook_service import ReceivesEvents
from server.storage.engine import make_engine
from server.storage.sealing import Sealing
from server.storage.short_transactions import ShortTransactions
from server.usecases.api_keys import ApiKeys
from server.usecases.authenticate import Authenticate
from server.usecases.merchants import Merchants
from server.usecases.newest_first import NewestFirst
from server.usecases.page_tokens import PageTokens
from server.usecases.processor_accounts import ProcessorAccounts
from server.usecases.read_ledger import ReadLedger
from tests.cluster import Database
from tests.rpc.conftest import Pacemaker

HASH_KEY, TOKEN_KEY = b"h" * 32, b"t" * 32
CREDENTIAL_NAMES = {
    "stripe": ("secret_key", "webhook_secret"),
    "paypal": ("client_id", "client_secret", "webhook_id"),
}


@pytest.fixture(scope="session")
def engine(database: Database) -> Iterator[Engine]:
    """Connects as the writer, as servers do."""
    engine = make_engine(database.writer_url, 4)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def transactions(engine: Engine) -> Iterator[ShortTransactions]:
    with ThreadPoolExecutor(4) as threads:
        yield ShortTransactions(engine, threads)


@pytest.fixture(scope="session")
def sealing() -> Sealing:
    return Sealing([b"e" * 32])


@pytest.fixture(scope="session")
def use_cases(transactions: ShortTransactions, sealing: Sealing) -> MerchantUseCases:
    pages = NewestFirst(transactions, PageTokens(TOKEN_KEY))
    return MerchantUseCases(
        merchants=Merchants(transactions, pages, default_currency="EUR"),
        api_keys=ApiKeys(transactions, pages, HASH_KEY),
        processor_accounts=ProcessorAccounts(transactions, pages, sealing, CREDENTIAL_NAMES),
    )


@dataclass
class Office:
    """Administers merchants as a client does, with a platform key."""

    stub: Any
    engine: Engine
    key: str

    async def call(self, method: str, key: str | None = None, **values: Any) -> Any:
        """Calls a method of MerchantService with this key, the platform's where none is given."""
        request = getattr(pb, f"{method}Request")(**values)
        return await getattr(self.stub, method)(request, metadata=_bearer(key or self.key))

    def refusal(self, method: str, key: str | None = None, **values: Any) -> Any:
        """Begins a call that will be refused."""
        request = getattr(pb, f"{method}Request")(**values)
        return getattr(self.stub, method)(request, metadata=_bearer(key or self.key))

    async def merchant(self, **changes: Any) -> Any:
        """Makes a test merchant."""
        values: dict[str, Any] = {"name": "Shop", "test_mode": True, "country": "US", "default_currency": "USD"}
        return await self.call("CreateMerchant", **(values | changes))

    async def api_key(self, merchant_id: str) -> Any:
        """Issues a key."""
        return await self.call("CreateApiKey", merchant_id=merchant_id, name="till")

    def rows(self, statement: str, **values: object) -> list[Mapping[str, Any]]:
        """Reads the database behind the server's back."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]


@pytest.fixture
async def office(use_cases: MerchantUseCases, transactions: ShortTransactions, engine: Engine) -> AsyncIterator[Office]:
    """A running server whose authentication remembers nothing, so that tests need not wait."""

    async def drain() -> None: ...

    server = RpcServer(
        UseCases(
            authenticate=Authenticate(transactions, HASH_KEY, cached_s=0.001),
            payments=cast(PaymentUseCases, _NoPayments()),
            disputes=cast(DisputeUseCases, _NoDisputes()),
            merchants=use_cases,
            attention=cast(AttentionUseCases, _NoAttention()),
            fraud=cast(FraudUseCases, None),
            ledger=cast(ReadLedger, None),
            receive_event=cast(ReceivesEvents, None),
        ),
        listen="127.0.0.1:0",
        pace=Pacemaker(),
        supported_currencies=frozenset({"USD", "EUR"}),
        pause_s=0,
        grace_s=5,
        drain=drain,
    )
    await server.start()
    issued = await use_cases.api_keys.create_platform_key("tests")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Office(merchant_service_pb2_grpc.MerchantServiceStub(channel), engine, issued.secret)
    await server.stop()


class _NoAttention:
    list = resolve = None


class _NoPayments:
    create = capture = cancel = confirm = refund = get = list = list_transactions = None


class _NoDisputes:
    answer = get = list = None


def _bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)
