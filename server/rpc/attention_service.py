"""AttentionService: parse, use case, render. Any key may call, a merchant's for its own items; see `rpc.server`."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from kassa.v1 import attention_service_pb2 as pb
from kassa.v1 import attention_service_pb2_grpc as pb_grpc

from server.domain.attention import AttentionItem, AttentionKind
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id, render_id
from server.rpc import fields
from server.rpc.call import current_call
from server.rpc.render import render_time
from server.rpc.vocabulary import take_optional, to_wire
from server.storage.attention import AttentionFilter
from server.usecases.answers import Caller, Page

Context: TypeAlias = "ServicerContext[Any, Any]"

_KINDS = to_wire(AttentionKind, pb.AttentionItem.Kind)
_READ_KINDS = {wire: domain for domain, wire in _KINDS.items()}
_MAX_NOTE, _MAX_NAME = 1_000, 200


class ListsAttention(Protocol):
    """`usecases.attention.ListAttention`."""

    async def __call__(self, wanted: AttentionFilter, page_size: int, page_token: str) -> Page[AttentionItem]: ...


class ResolvesAttention(Protocol):
    """`usecases.attention.ResolveAttention`."""

    async def __call__(self, merchant_id: UUID | None, item_id: UUID, resolved_by: str, note: str) -> AttentionItem: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionUseCases:
    """What the service calls; every one raises KassaError alone."""

    list: ListsAttention
    resolve: ResolvesAttention


class AttentionService(pb_grpc.AttentionServiceServicer):
    """See the contract."""

    def __init__(self, use_cases: AttentionUseCases) -> None:
        self._use_cases = use_cases

    async def ListAttention(self, request: pb.ListAttentionRequest, context: Context) -> pb.ListAttentionResponse:
        """Over REST 200."""
        wanted, size = _filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.list(wanted, size, request.page_token)
        items = [_item(item) for item in page.items]
        return pb.ListAttentionResponse(items=items, next_page_token=page.next_page_token)

    async def ResolveAttention(self, request: pb.ResolveAttentionRequest, context: Context) -> pb.AttentionItem:
        """Over REST 200."""
        item_id = parse_id(Prefix.ATTENTION, request.attention_id, "attention_id")
        note = fields.text(request.note, "note", longest=_MAX_NOTE, required=True)
        resolved_by = fields.text(request.resolved_by, "resolved_by", longest=_MAX_NAME, required=True)
        return _item(await self._use_cases.resolve(_own_merchant(), item_id, resolved_by, note))


def _filter(request: pb.ListAttentionRequest) -> AttentionFilter:
    own = _own_merchant()
    named = parse_id(Prefix.MERCHANT, request.merchant_id, "merchant_id") if request.merchant_id else None
    if own is not None and named not in {None, own}:
        raise InvalidField("merchant_id", "must be the merchant whose key it is, or absent")
    return AttentionFilter(
        merchant_id=own or named,
        payment_id=parse_id(Prefix.PAYMENT, request.payment_id, "payment_id") if request.payment_id else None,
        kind=take_optional(_READ_KINDS, request.kind, "kind"),
        include_resolved=request.include_resolved,
    )


def _own_merchant() -> UUID | None:
    """Whose items the caller may see; None for the platform, which sees all."""
    principal = current_call().principal
    return principal.merchant_id if isinstance(principal, Caller) else None


def _item(item: AttentionItem) -> pb.AttentionItem:
    return pb.AttentionItem(
        id=render_id(Prefix.ATTENTION, item.id),
        merchant_id=render_id(Prefix.MERCHANT, item.merchant_id),
        payment_id=render_id(Prefix.PAYMENT, item.payment_id),
        transaction_id=render_id(Prefix.TRANSACTION, item.transaction_id),
        kind=_KINDS[item.kind],
        detail=item.detail,
        created_at=render_time(item.created_at),
        resolved_at=None if item.resolved_at is None else render_time(item.resolved_at),
        resolved_by=item.resolved_by,
        note=item.note,
    )
