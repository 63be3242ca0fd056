"""WebhookService: hands the raw bytes and the headers of a processor's event on. Served by `rpc.server`."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from kassa.v1 import webhook_service_pb2 as pb
from kassa.v1 import webhook_service_pb2_grpc as pb_grpc

from server.domain.ids import Prefix, parse_id
from server.rpc.call import current_call

Context: TypeAlias = "ServicerContext[Any, Any]"


class ReceivesEvents(Protocol):
    """`usecases.receive_event.ReceiveEvent`."""

    async def __call__(
        self, processor: str, account_id: UUID | None, headers: Mapping[str, str], body: bytes
    ) -> None: ...


class WebhookService(pb_grpc.WebhookServiceServicer):
    """See the contract. The body is never parsed here: its signature is over the very bytes."""

    def __init__(self, receive: ReceivesEvents) -> None:
        self._receive = receive

    async def ReceiveStripeEvent(
        self, request: pb.ReceiveStripeEventRequest, context: Context
    ) -> pb.ReceiveStripeEventResponse:
        """Over REST 200 once the event is stored."""
        await self._receive("stripe", _account_id(request.account_id), _headers(), request.raw.data)
        return pb.ReceiveStripeEventResponse()

    async def ReceivePayPalEvent(
        self, request: pb.ReceivePayPalEventRequest, context: Context
    ) -> pb.ReceivePayPalEventResponse:
        """Over REST 200 once the event is stored."""
        await self._receive("paypal", _account_id(request.account_id), _headers(), request.raw.data)
        return pb.ReceivePayPalEventResponse()


def _account_id(given: str) -> UUID | None:
    return parse_id(Prefix.PROCESSOR_ACCOUNT, given, "account_id") if given else None


def _headers() -> dict[str, str]:
    return {name: value for name, value in current_call().headers.items() if isinstance(value, str)}
