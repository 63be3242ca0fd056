"""DisputeService: parse, use case, render. Served by `rpc.server`."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from kassa.v1 import dispute_service_pb2 as pb
from kassa.v1 import dispute_service_pb2_grpc as pb_grpc

from server.domain.dispute import Dispute, DisputeReason, DisputeState, Evidence
from server.domain.dispute_answer import write_evidence
from server.domain.ids import Prefix, parse_id, render_id
from server.rpc import fields
from server.rpc.call import current_call
from server.rpc.parse_disputes import parse_dispute_filter, parse_evidence
from server.rpc.render import render_time
from server.rpc.vocabulary import to_wire
from server.storage.disputes import DisputeFilter
from server.usecases.answers import Answer, Caller, Page

Context: TypeAlias = "ServicerContext[Any, Any]"

_STATES = to_wire(DisputeState, pb.Dispute.State)
_REASONS = to_wire(DisputeReason, pb.Dispute.Reason)


class Answers(Protocol):
    """`usecases.answer_dispute.AnswerDispute`."""

    async def __call__(
        self, caller: Caller, key: str, dispute_id: UUID, evidence: Evidence | None
    ) -> Answer[Dispute]: ...


class Gets(Protocol):
    """`usecases.read_disputes.GetDispute`."""

    async def __call__(self, caller: Caller, dispute_id: UUID) -> Dispute: ...


class Lists(Protocol):
    """`usecases.read_disputes.ListDisputes`."""

    async def __call__(
        self, caller: Caller, wanted: DisputeFilter, page_size: int, page_token: str
    ) -> Page[Dispute]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeUseCases:
    """What the service calls; every one raises KassaError alone."""

    answer: Answers
    get: Gets
    list: Lists


class DisputeService(pb_grpc.DisputeServiceServicer):
    """See the contract."""

    def __init__(self, use_cases: DisputeUseCases) -> None:
        self._use_cases = use_cases

    async def GetDispute(self, request: pb.GetDisputeRequest, context: Context) -> pb.Dispute:
        """Over REST 200."""
        return _dispute(await self._use_cases.get(current_call().merchant, _dispute_id(request)))

    async def ListDisputes(self, request: pb.ListDisputesRequest, context: Context) -> pb.ListDisputesResponse:
        """Over REST 200."""
        wanted, size = parse_dispute_filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.list(current_call().merchant, wanted, size, request.page_token)
        disputes = [_dispute(dispute) for dispute in page.items]
        return pb.ListDisputesResponse(disputes=disputes, next_page_token=page.next_page_token)

    async def AcceptDispute(self, request: pb.AcceptDisputeRequest, context: Context) -> pb.Dispute:
        """Over REST 200."""
        return await self._answer(_dispute_id(request), None)

    async def SubmitDisputeEvidence(self, request: pb.SubmitDisputeEvidenceRequest, context: Context) -> pb.Dispute:
        """Over REST 200."""
        return await self._answer(_dispute_id(request), parse_evidence(request.evidence))

    async def _answer(self, dispute_id: UUID, evidence: Evidence | None) -> pb.Dispute:
        call = current_call()
        answer = await self._use_cases.answer(call.merchant, call.idempotency_key, dispute_id, evidence)
        call.replayed = answer.replayed
        return _dispute(answer.value)


class _NamesDispute(Protocol):
    dispute_id: str


def _dispute_id(request: _NamesDispute) -> UUID:
    return parse_id(Prefix.DISPUTE, request.dispute_id, "dispute_id")


def _dispute(dispute: Dispute) -> pb.Dispute:
    return pb.Dispute(
        id=render_id(Prefix.DISPUTE, dispute.id),
        payment_id=render_id(Prefix.PAYMENT, dispute.payment_id),
        state=_STATES[dispute.state],
        reason=_REASONS[dispute.reason],
        reason_code=dispute.reason_code,
        inquiry=dispute.inquiry,
        amount=dispute.amount,
        amount_withdrawn=dispute.amount_withdrawn,
        amount_held=dispute.amount_held,
        currency=dispute.currency,
        respond_by=None if dispute.respond_by is None else render_time(dispute.respond_by),
        evidence=None if dispute.evidence is None else pb.DisputeEvidence(**write_evidence(dispute.evidence)),
        answered_at=None if dispute.answered_at is None else render_time(dispute.answered_at),
        processor=dispute.processor,
        processor_dispute_id=dispute.processor_dispute_id,
        opened_at=render_time(dispute.opened_at),
        created_at=render_time(dispute.created_at),
        updated_at=render_time(dispute.updated_at),
    )
