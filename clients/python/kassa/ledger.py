"""The books, for threads and for asyncio; applications use them through `Client.ledger` and `AsyncClient.ledger`."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Unpack

import grpc

from kassa.requests import EntryFilter, balances_request, entries_request
from kassa.v1 import ledger_service_pb2 as pb
from kassa.v1.ledger_service_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    import grpc.aio

    from kassa.async_client import AsyncSender
    from kassa.client import Sender


class Ledger:
    """The books of the merchant whose key it is; with a platform key, those of the merchant that is named.

    Every method raises `KassaError` where the call is refused or got no answer.
    """

    def __init__(self, channel: grpc.Channel, sender: "Sender") -> None:
        self._stub = LedgerServiceStub(channel)
        self._sender = sender

    def balances(self, *, at: datetime | None = None, merchant_id: str = "") -> pb.Balances:
        """Returns the balances of a moment, or those of all that is booked; look at `at` for which moment it is."""
        return self._sender.read(self._stub.GetBalances, balances_request(at, merchant_id))

    def entries(self, **criteria: Unpack[EntryFilter]) -> Iterator[pb.LedgerEntry]:
        """Iterates over the entries, newest first; pages are fetched as needed."""
        request = entries_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListLedgerEntries, request)
            yield from page.entries
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def trial_balance(self, *, merchant_id: str = "") -> pb.TrialBalance:
        """Returns debits and credits in each currency; with a platform key and no merchant, of all merchants."""
        return self._sender.read(self._stub.GetTrialBalance, pb.GetTrialBalanceRequest(merchant_id=merchant_id))


class AsyncLedger:
    """The books of the merchant whose key it is; with a platform key, those of the merchant that is named.

    Every method raises `KassaError` where the call is refused or got no answer.
    """

    def __init__(self, channel: "grpc.aio.Channel", sender: "AsyncSender") -> None:
        self._stub = LedgerServiceStub(channel)
        self._sender = sender

    async def balances(self, *, at: datetime | None = None, merchant_id: str = "") -> pb.Balances:
        """Returns the balances of a moment, or those of all that is booked; look at `at` for which moment it is."""
        return await self._sender.read(self._stub.GetBalances, balances_request(at, merchant_id))

    async def entries(self, **criteria: Unpack[EntryFilter]) -> AsyncIterator[pb.LedgerEntry]:
        """Iterates over the entries, newest first; pages are fetched as needed."""
        request = entries_request(criteria)
        while True:
            page = await self._sender.read(self._stub.ListLedgerEntries, request)
            for entry in page.entries:
                yield entry
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def trial_balance(self, *, merchant_id: str = "") -> pb.TrialBalance:
        """Returns debits and credits in each currency; with a platform key and no merchant, of all merchants."""
        return await self._sender.read(self._stub.GetTrialBalance, pb.GetTrialBalanceRequest(merchant_id=merchant_id))
