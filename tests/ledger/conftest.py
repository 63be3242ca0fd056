"""A merchant's books in this worker's own database, read through the real gRPC server."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import grpc.aio
import pytest
from kassa.v1 import ledger_service_pb2 as pb
from kassa.v1 import ledger_service_pb2_grpc

from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, new_id, render_id
from server.domain.merchant import Merchant
from server.rpc.attention_service import AttentionUseCases
from server.rpc.dispute_service import DisputeUseCases
from server.rpc.fraud_service import FraudUseCases
from server.rpc.merchant_service import MerchantUseCases
from server.rpc.payment_service import PaymentUseCases
from server.rpc.server import RpcServer, UseCases
from server.rpc.webhook_service import ReceivesEvents
from server.storage.engine import Reads, make_engine
from server.storage.merchants import insert_merchant
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Caller
from server.usecases.authenticate import Platform, Principal
from server.usecases.newest_first import NewestFirst
from server.usecases.page_tokens import PageTokens
from server.usecases.read_ledger import ReadLedger
from tests.cluster import Database
from tests.storage.conftest import Till, till

__all__ = ["till"]

PLATFORM_KEY = "sk_platform"


@dataclass
class Books:
    """Reads the books as clients do; the till beside it writes them. Keys are merchants' ids, or the platform's."""

    stub: Any
    till: Till

    @property
    def merchant_id(self) -> str:
        """The till's merchant as the contract writes it."""
        return render_id(Prefix.MERCHANT, self.till.merchant)

    def call(self, method: str, key: str | None = None, **values: Any) -> Any:
        """Calls a method of LedgerService as the till's merchant, or with this key."""
        request = getattr(pb, f"{method}Request")(**values)
        metadata = (("authorization", f"Bearer {key or self.till.merchant}"),)
        return getattr(self.stub, method)(request, metadata=metadata)


async def authenticate(secret: str) -> Principal:
    """Believes every key."""
    if secret == PLATFORM_KEY:
        return Platform()
    try:
        return Caller(UUID(secret), test_mode=True)
    except ValueError:
        raise KassaError(Reason.API_KEY_INVALID, "The API key is unknown.") from None


@pytest.fixture
async def transactions(till: Till) -> AsyncIterator[ShortTransactions]:
    """Connects as the writer."""
    with ThreadPoolExecutor(1) as threads:
        yield ShortTransactions(till.engine, threads)


@pytest.fixture
async def books(till: Till, transactions: ShortTransactions, database: Database) -> AsyncIterator[Books]:
    """A running server over the till's database; the merchant is registered."""

    async def drain() -> None: ...

    now = datetime.now(UTC)
    till.merchant = new_id()  # as merchants that are registered have it: they are listed by the time in their ids
    merchant = Merchant(till.merchant, "Shop", True, "US", "UTC", "USD", now, now)
    await transactions.run(insert_merchant, merchant)
    readers = make_engine(database.reader_url, 1)
    reads = Reads(readers, 1)
    server = RpcServer(
        UseCases(
            authenticate=authenticate,
            payments=cast(PaymentUseCases, None),
            attention=cast(AttentionUseCases, None),
            fraud=cast(FraudUseCases, None),
            disputes=cast(DisputeUseCases, _NoDisputes()),
            merchants=cast(MerchantUseCases, _NoMerchants()),
            ledger=ReadLedger(reads, transactions, NewestFirst(reads, PageTokens(b"t" * 32))),
            receive_event=cast(ReceivesEvents, None),
        ),
        listen="127.0.0.1:0",
        pace=till.commit,
        supported_currencies=frozenset({"USD"}),
        pause_s=0,
        grace_s=5,
        drain=drain,
    )
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Books(ledger_service_pb2_grpc.LedgerServiceStub(channel), till)
    await server.stop()
    reads.close()
    readers.dispose()


@pytest.fixture
def stranger() -> UUID:
    """A merchant that nobody knows."""
    return uuid4()


class _NoDisputes:
    answer = get = list = None


class _NoMerchants:
    merchants = api_keys = processor_accounts = None
