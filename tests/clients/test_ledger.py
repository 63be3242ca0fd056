"""The books through both clients, against a server that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import kassa
import pytest
from kassa.requests import balances_request, entries_request
from kassa.v1 import ledger_service_pb2 as pb
from kassa.v1 import ledger_service_pb2_grpc as pb_grpc

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Gateway(pb_grpc.LedgerServiceServicer):
    """Answers with one balance, two pages of entries and one line."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def _take(self, request: Any, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        assert metadata["authorization"] == "Bearer sk_test_1"
        assert "idempotency-key" not in metadata, "reading moves no money"
        self.asked.append(request)

    async def GetBalances(self, request: pb.GetBalancesRequest, context: Any) -> pb.Balances:
        self._take(request, context)
        return pb.Balances(balances=[pb.Balance(account=pb.LedgerEntry.FEES, currency="EUR", amount=55)], at=request.at)

    async def ListLedgerEntries(
        self, request: pb.ListLedgerEntriesRequest, context: Any
    ) -> pb.ListLedgerEntriesResponse:
        self._take(request, context)
        if request.page_token:
            return pb.ListLedgerEntriesResponse(entries=[pb.LedgerEntry(id="b")])
        return pb.ListLedgerEntriesResponse(entries=[pb.LedgerEntry(id="a")], next_page_token="t")

    async def GetTrialBalance(self, request: pb.GetTrialBalanceRequest, context: Any) -> pb.TrialBalance:
        self._take(request, context)
        return pb.TrialBalance(lines=[pb.TrialBalance.Line(currency="EUR", debits=55, credits=55)])


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def target(gateway: Gateway) -> AsyncIterator[str]:
    server = grpc.aio.server()
    pb_grpc.add_LedgerServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_the_client_for_asyncio_reads_the_books(target: str, gateway: Gateway) -> None:
    async with kassa.AsyncClient(target, "sk_test_1", timeout=10) as client:
        balances = await client.ledger.balances(at=NEW_YEAR, merchant_id="mer_1")
        entries = [one async for one in client.ledger.entries(account="FEES", created_after=NEW_YEAR, page_size=1)]
        trial = await client.ledger.trial_balance(merchant_id="mer_1")
    check(balances, entries, trial, gateway.asked)


async def test_the_client_for_threads_reads_the_books(target: str, gateway: Gateway) -> None:
    def read() -> tuple[Any, Any, Any]:
        with kassa.Client(target, "sk_test_1", timeout=10) as client:
            balances = client.ledger.balances(at=NEW_YEAR, merchant_id="mer_1")
            entries = list(client.ledger.entries(account="FEES", created_after=NEW_YEAR, page_size=1))
            return balances, entries, client.ledger.trial_balance(merchant_id="mer_1")

    check(*await asyncio.to_thread(read), gateway.asked)


def check(balances: kassa.Balances, entries: list[kassa.LedgerEntry], trial: kassa.TrialBalance, asked: Any) -> None:
    assert (balances.at.ToDatetime(UTC), balances.balances[0].amount) == (NEW_YEAR, 55)
    assert [one.id for one in entries] == ["a", "b"]
    assert (trial.lines[0].debits, trial.lines[0].total) == (55, 0)
    first, page, second, summing = asked
    assert (first.merchant_id, first.at.ToDatetime(UTC)) == ("mer_1", NEW_YEAR)
    assert (page.account, page.created_after.ToDatetime(UTC), page.page_size) == (pb.LedgerEntry.FEES, NEW_YEAR, 1)
    assert second.page_token == "t"
    assert summing.merchant_id == "mer_1"


def test_a_moment_without_a_time_zone_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="at must have a time zone"):
        balances_request(datetime(2026, 1, 1), "")
    with pytest.raises(ValueError, match="created_before must have a time zone"):
        entries_request({"created_before": datetime(2026, 1, 1)})
    with pytest.raises(ValueError, match="SUSPENSE"):
        entries_request({"account": "SUSPENSE"})  # type: ignore[typeddict-item]
