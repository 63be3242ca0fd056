"""Disputes through both clients, against a server that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import kassa
import pytest
from kassa.requests import disputes_request, evidence_request
from kassa.v1 import dispute_service_pb2 as pb
from kassa.v1 import dispute_service_pb2_grpc as pb_grpc

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Gateway(pb_grpc.DisputeServiceServicer):
    """Answers with one dispute, and two pages of a list."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, str | bytes | None]] = []

    def _take(self, request: Any, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        assert metadata["authorization"] == "Bearer sk_test_1"
        self.asked.append((request, metadata.get("idempotency-key")))

    async def GetDispute(self, request: pb.GetDisputeRequest, context: Any) -> pb.Dispute:
        self._take(request, context)
        return pb.Dispute(id=request.dispute_id)

    async def ListDisputes(self, request: pb.ListDisputesRequest, context: Any) -> pb.ListDisputesResponse:
        self._take(request, context)
        if request.page_token:
            return pb.ListDisputesResponse(disputes=[pb.Dispute(id="b")])
        return pb.ListDisputesResponse(disputes=[pb.Dispute(id="a")], next_page_token="t")

    async def AcceptDispute(self, request: pb.AcceptDisputeRequest, context: Any) -> pb.Dispute:
        self._take(request, context)
        return pb.Dispute(id=request.dispute_id, state=pb.Dispute.LOST)

    async def SubmitDisputeEvidence(self, request: pb.SubmitDisputeEvidenceRequest, context: Any) -> pb.Dispute:
        self._take(request, context)
        return pb.Dispute(id=request.dispute_id, evidence=request.evidence)


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def target(gateway: Gateway) -> AsyncIterator[str]:
    server = grpc.aio.server()
    pb_grpc.add_DisputeServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_the_client_for_asyncio_reads_and_answers_disputes(target: str, gateway: Gateway) -> None:
    async with kassa.AsyncClient(target, "sk_test_1", timeout=10) as client:
        found = [one async for one in client.disputes.list(state="NEEDS_RESPONSE", respond_before=NEW_YEAR)]
        read = await client.disputes.get("dsp_1")
        defended = await client.disputes.submit_evidence("dsp_1", explanation="Delivered.", idempotency_key="k1")
        lost = await client.disputes.accept("dsp_2")
    check(found, [read, defended, lost], gateway.asked)


async def test_the_client_for_threads_reads_and_answers_disputes(target: str, gateway: Gateway) -> None:
    def work() -> tuple[Any, Any]:
        with kassa.Client(target, "sk_test_1", timeout=10) as client:
            found = list(client.disputes.list(state="NEEDS_RESPONSE", respond_before=NEW_YEAR))
            read = client.disputes.get("dsp_1")
            defended = client.disputes.submit_evidence("dsp_1", explanation="Delivered.", idempotency_key="k1")
            return found, [read, defended, client.disputes.accept("dsp_2")]

    check(*await asyncio.to_thread(work), gateway.asked)


def check(found: list[kassa.Dispute], answers: list[kassa.Dispute], asked: list[tuple[Any, Any]]) -> None:
    assert [one.id for one in found] == ["a", "b"]
    read, defended, lost = answers
    assert (read.id, defended.evidence.explanation, lost.state) == ("dsp_1", "Delivered.", pb.Dispute.LOST)
    (first, no_key), (second, _), (_, none_either), (evidence, given), (accepted, made) = asked
    assert (first.state, first.respond_before.ToDatetime(UTC)) == (pb.Dispute.NEEDS_RESPONSE, NEW_YEAR)
    assert second.page_token == "t"
    assert (evidence.dispute_id, accepted.dispute_id) == ("dsp_1", "dsp_2")
    assert (no_key, none_either, given) == (None, None, "k1")
    assert made, "the client makes a key by itself"


def test_what_the_contract_does_not_know_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="respond_before must have a time zone"):
        disputes_request({"respond_before": datetime(2026, 1, 1)})
    with pytest.raises(ValueError, match="excuse"):
        evidence_request("dsp_1", {"excuse": "The dog ate it."})  # type: ignore[typeddict-unknown-key]
