"""Disputes, for threads and for asyncio; applications use them through `Client.disputes` and `AsyncClient.disputes`."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Unpack

import grpc

from kassa.requests import DisputeEvidence, DisputeFilter, disputes_request, evidence_request
from kassa.v1 import dispute_service_pb2 as pb
from kassa.v1.dispute_service_pb2_grpc import DisputeServiceStub

if TYPE_CHECKING:
    import grpc.aio

    from kassa.async_client import AsyncSender
    from kassa.client import Sender


class Disputes:
    """The disputes of the merchant whose key it is.

    Every method raises `KassaError` where the call is refused or got no answer. A dispute is answered once: accepted,
    or defended with evidence.
    """

    def __init__(self, channel: grpc.Channel, sender: "Sender") -> None:
        self._stub = DisputeServiceStub(channel)
        self._sender = sender

    def get(self, dispute_id: str) -> pb.Dispute:
        """Returns one dispute."""
        return self._sender.read(self._stub.GetDispute, pb.GetDisputeRequest(dispute_id=dispute_id))

    def list(self, **criteria: Unpack[DisputeFilter]) -> Iterator[pb.Dispute]:
        """Iterates over the disputes, newest first; pages are fetched as needed."""
        request = disputes_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListDisputes, request)
            yield from page.disputes
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def accept(self, dispute_id: str, *, idempotency_key: str | None = None) -> pb.Dispute:
        """Gives a dispute up: the customer keeps the money."""
        request = pb.AcceptDisputeRequest(dispute_id=dispute_id)
        return self._sender.write(self._stub.AcceptDispute, request, idempotency_key)

    def submit_evidence(
        self, dispute_id: str, *, idempotency_key: str | None = None, **evidence: Unpack[DisputeEvidence]
    ) -> pb.Dispute:
        """Defends the payment; it can be done once, before `respond_by`, and not be taken back."""
        request = evidence_request(dispute_id, evidence)
        return self._sender.write(self._stub.SubmitDisputeEvidence, request, idempotency_key)


class AsyncDisputes:
    """The disputes of the merchant whose key it is.

    Every method raises `KassaError` where the call is refused or got no answer. A dispute is answered once: accepted,
    or defended with evidence.
    """

    def __init__(self, channel: "grpc.aio.Channel", sender: "AsyncSender") -> None:
        self._stub = DisputeServiceStub(channel)
        self._sender = sender

    async def get(self, dispute_id: str) -> pb.Dispute:
        """Returns one dispute."""
        return await self._sender.read(self._stub.GetDispute, pb.GetDisputeRequest(dispute_id=dispute_id))

    async def list(self, **criteria: Unpack[DisputeFilter]) -> AsyncIterator[pb.Dispute]:
        """Iterates over the disputes, newest first; pages are fetched as needed."""
        request = disputes_request(criteria)
        while True:
            page = await self._sender.read(self._stub.ListDisputes, request)
            for dispute in page.disputes:
                yield dispute
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def accept(self, dispute_id: str, *, idempotency_key: str | None = None) -> pb.Dispute:
        """Gives a dispute up: the customer keeps the money."""
        request = pb.AcceptDisputeRequest(dispute_id=dispute_id)
        return await self._sender.write(self._stub.AcceptDispute, request, idempotency_key)

    async def submit_evidence(
        self, dispute_id: str, *, idempotency_key: str | None = None, **evidence: Unpack[DisputeEvidence]
    ) -> pb.Dispute:
        """Defends the payment; it can be done once, before `respond_by`, and not be taken back."""
        request = evidence_request(dispute_id, evidence)
        return await self._sender.write(self._stub.SubmitDisputeEvidence, request, idempotency_key)
