"""What goes around every call of ours: request id, API key, errors, response headers and the log line.

One wrapper is cheaper than a chain of five, and leaves one place that sends initial metadata: after the handler has
returned, since a status sent before an abort would win over it at Envoy.

It is put around the methods when they are registered, and all of them are found in one table. grpc's own ways would
cost a twelfth of the interpreter's time: an interceptor is asked anew for each call, and with registered methods the
server waits for as many futures as there are methods, again for each call.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Never, Protocol, TypeAlias, cast

from google.protobuf.message import DecodeError
from grpc import GenericRpcHandler, HandlerCallDetails, RpcMethodHandler, StatusCode, unary_unary_rpc_method_handler
from grpc.aio import Server, ServicerContext

from server.domain.errors import KassaError, Reason
from server.domain.ids import random_id
from server.rpc.access import ACCESS, NEW_WORK, Access, check_access
from server.rpc.call import Call, enter_call
from server.rpc.errors import Refusal, refuse
from server.rpc.request_log import log_call, log_defect
from server.usecases.authenticate import Principal

# grpc's own types are generic over messages that an interceptor never looks into.
Handler: TypeAlias = "RpcMethodHandler[Any, Any]"
Context: TypeAlias = "ServicerContext[Any, Any]"

_QUEUES_OF_THEIR_OWN = frozenset({
    "/grpc.health.v1.Health/Check",
    "/kassa.v1.PaymentService/CreatePayment",
    "/kassa.v1.PaymentService/CapturePayment",
    "/kassa.v1.PaymentService/RefundPayment",
    "/kassa.v1.WebhookService/ReceivePayPalEvent", "/kassa.v1.WebhookService/ReceiveStripeEvent",
})  # fmt: skip
"""What merchants and processors send in floods, and what tells that a server lives; few, since each costs every call of
any method."""
PACED = _QUEUES_OF_THEIR_OWN & NEW_WORK
"""New work that waits at the door while too much of it waits inside."""
_REQUEST_ID = re.compile(r"[0-9A-Za-z._:-]{1,128}", re.ASCII)
_BEARER = re.compile(r"bearer +([\x21-\x7e]+)", re.ASCII | re.IGNORECASE)


class Authenticates(Protocol):
    """Tells whose an API key is."""

    async def __call__(self, secret: str) -> Principal:
        """Returns whom the key speaks for, or raises KassaError."""


Observe = Callable[[str, str, float], None]
"""Told of each call that ends: its method, the name of its status and its seconds."""


def _no() -> None:
    return None


class Methods(GenericRpcHandler):
    """The table of all methods. It is given to generated code in the place of a server, to register services with.

    Those that `ACCESS` lists are wrapped; health and reflection are left alone.

    Args:
        refusal: What new work is refused with at present, None where it is welcome.
    """

    def __init__(
        self,
        authenticate: Authenticates,
        observe: Observe | None = None,
        refusal: Callable[[], KassaError | None] = _no,
    ) -> None:
        self._authenticate, self._observe, self._refusal = authenticate, observe, refusal
        self._handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable["GenericRpcHandler"]) -> None:
        """Generated code offers each service twice; the other form names its methods."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, "Handler"]) -> None:
        """Adds the methods of a service."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            access = ACCESS.get(method)
            self._handlers[method] = handler if access is None else self._wrap(method, access, handler)

    def register_on(self, server: Server) -> None:
        """Lets a server serve all of them.

        Calls wait in one queue for each method that is registered by name, and in one for all others, and grpc lets go
        of those that a queue does not hold. So what comes in floods holds up nothing else, and a server that is only
        busy does not look dead.
        """
        server.add_generic_rpc_handlers((self,))
        for method in _QUEUES_OF_THEIR_OWN & self._handlers.keys():
            _, service, name = method.split("/")
            server.add_registered_method_handlers(service, {name: self._handlers[method]})

    def service(self, handler_call_details: HandlerCallDetails) -> "Handler | None":
        """Finds a method; None where there is none."""
        return self._handlers.get(handler_call_details.method)

    def _wrap(self, method: str, access: Access, handler: Handler) -> Handler:
        assert not handler.request_streaming and not handler.response_streaming, "streams need a wrapper of their own"
        behaviour = cast("Callable[[object, Context], Awaitable[object]]", handler.unary_unary)
        parse = handler.request_deserializer
        assert parse is not None, "generated handlers parse"
        is_new = method in NEW_WORK

        async def serve(raw: bytes, context: Context) -> object:
            started = time.perf_counter()
            call = _start(method, context)
            try:
                if is_new and (refusal := self._refusal()) is not None:
                    raise refusal
                if access is not Access.SIGNED:
                    call.principal = await self._authenticate(_bearer(call.headers))
                    check_access(access, call.principal)
                response = await behaviour(_parse(parse, raw), context)
                await context.send_initial_metadata(_headers(call))
            except KassaError as error:
                await self._refuse(call, error, context, started)
            except asyncio.CancelledError:  # the caller left or its deadline passed; work on money goes on, shielded
                self._end(call, StatusCode.CANCELLED, None, started)
                raise
            except Exception as error:  # the outermost place: nothing of it may reach the caller
                log_defect(call, error)
                hidden = KassaError(Reason.INTERNAL, "Something went wrong here. Tell us the request id.")
                await self._refuse(call, hidden, context, started)
            self._end(call, StatusCode.OK, None, started)
            return response

        # The request is parsed inside, so that bytes which are no message are refused like any other bad request.
        return unary_unary_rpc_method_handler(serve, None, handler.response_serializer)

    async def _refuse(self, call: Call, error: KassaError, context: Context, started: float) -> Never:
        refusal = refuse(error, call.request_id)
        self._end(call, refusal.status, error.reason, started)
        await _abort(call, refusal, context)

    def _end(self, call: Call, status: StatusCode, reason: Reason | None, started: float) -> None:
        log_call(call, status, reason, started)
        if self._observe:
            self._observe(call.method, status.name, time.perf_counter() - started)


def _start(method: str, context: Context) -> Call:
    headers: Mapping[str, str | bytes] = dict(context.invocation_metadata() or ())
    given = headers.get("x-request-id")
    known = isinstance(given, str) and _REQUEST_ID.fullmatch(given) is not None
    call = Call(method, str(given) if known else random_id().hex, headers)
    enter_call(call)
    return call


def _bearer(headers: Mapping[str, str | bytes]) -> str:
    header = headers.get("authorization")
    found = _BEARER.fullmatch(header) if isinstance(header, str) else None
    if found is None:
        raise KassaError(Reason.AUTHENTICATION_REQUIRED, "An API key is missing; send `authorization: Bearer sk_…`.")
    return found[1]


def _parse(parse: Callable[[bytes], object], raw: bytes) -> object:
    try:
        return parse(raw)
    except DecodeError:
        message = "The request is not the message of this method; all text must be UTF-8."
        raise KassaError(Reason.INVALID_FIELD, message) from None


def _headers(call: Call) -> tuple[tuple[str, str], ...]:
    headers = [("x-request-id", call.request_id)]
    if call.http_status != 200:
        headers.append(("x-http-status", str(call.http_status)))
    if call.replayed:
        headers.append(("idempotent-replayed", "true"))
    return tuple(headers)


async def _abort(call: Call, refusal: Refusal, context: Context) -> Never:
    headers = [("x-request-id", call.request_id)]
    if refusal.retry_after_s is not None:
        headers.append(("retry-after", str(refusal.retry_after_s)))
    # No initial metadata: status, headers and body then travel in one frame, which is where Envoy looks for them.
    await context.abort(refusal.status, refusal.message, (*headers, *refusal.trailing))
