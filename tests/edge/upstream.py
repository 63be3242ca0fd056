"""A server that speaks every method of the contract and answers as each request asks; run in a thread or by itself.

A request's header `x-reply` is JSON and says how it is answered: `code`, `message`, `initial` and `trailing` metadata,
`seconds` to wait first, how many calls to answer `together`, or an exception to `raise`. Without it, the answer
repeats the request's fields.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from kassa.v1 import (
    attention_service_pb2,
    dispute_service_pb2,
    fraud_service_pb2,
    ledger_service_pb2,
    merchant_service_pb2,
    payment_service_pb2,
    webhook_service_pb2,
)

FILES = (
    attention_service_pb2,
    dispute_service_pb2,
    fraud_service_pb2,
    ledger_service_pb2,
    merchant_service_pb2,
    payment_service_pb2,
    webhook_service_pb2,
)
SERVICES = tuple(service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values())
HEALTH_SERVICE = "kassa.v1.PaymentService"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrived; metadata of the same name are joined by a comma."""

    method: str
    request: Message
    metadata: dict[str, str]
    seconds_left: float | None


@dataclass(slots=True)
class Upstream:
    """The server and what it was sent, unless `record` takes it."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    record: Callable[[Call], None] | None = None
    health: health_aio.HealthServicer = field(default_factory=health_aio.HealthServicer)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Serves in a thread until `stop`."""
        started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self.serve(started.set),))
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        """Ends the server; calls under way are cut."""
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        self._loop.close()

    def set_health(self, status: int) -> None:
        """Says whether it is serving, to whoever checks next."""
        asyncio.run_coroutine_threadsafe(self.health.set(HEALTH_SERVICE, status), self._loop).result(10)

    async def serve(self, started: Callable[[], Any]) -> None:
        """Serves until stopped."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Answering(self.record or self.calls.append),))
        await self.health.set(HEALTH_SERVICE, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        started()
        await self._stopping.wait()
        await server.stop(None)


class Answering(grpc.GenericRpcHandler):
    """Answers any method of the contract."""

    def __init__(self, record: Callable[[Call], None]) -> None:
        self._record = record
        self._barriers: dict[int, asyncio.Barrier] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        name = handler_call_details.method.removeprefix("/").replace("/", ".")
        try:
            method = descriptor_pool.Default().FindMethodByName(name)
        except KeyError:
            return None
        if method.containing_service.full_name not in SERVICES:
            return None
        request_type, response_type = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

        async def answer(request: Message, context: Any) -> Message:
            metadata: dict[str, str] = {}
            for key, value in context.invocation_metadata():
                text = value if isinstance(value, str) else value.decode("latin-1")
                metadata[key] = f"{metadata[key]},{text}" if key in metadata else text
            left = context.time_remaining()
            self._record(Call(method.name, request, metadata, None if left is None else float(left)))
            reply = json.loads(metadata.get("x-reply", "{}"))
            if "together" in reply:
                await self._barriers.setdefault(reply["together"], asyncio.Barrier(reply["together"])).wait()
            await follow(reply, context)
            return echo(request, response_type())

        return grpc.unary_unary_rpc_method_handler(
            answer,  # type: ignore[arg-type]  # grpc.aio takes a coroutine here
            request_deserializer=request_type.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


async def follow(reply: dict[str, Any], context: Any) -> None:
    """Does what `x-reply` says."""
    if "seconds" in reply:
        await asyncio.sleep(reply["seconds"])
    if "raise" in reply:
        raise RuntimeError(reply["raise"])
    if "initial" in reply:
        await context.send_initial_metadata(tuple(reply["initial"].items()))
    trailing = tuple(
        (key, value.encode("latin-1") if key.endswith("-bin") else value)
        for key, value in reply.get("trailing", {}).items()
    )
    if "code" in reply:
        await context.abort(grpc.StatusCode[reply["code"]], reply.get("message", ""), trailing)
    if trailing:
        context.set_trailing_metadata(trailing)


def echo(request: Message, response: Message) -> Message:
    """Fills the response with the request's fields of the same name and type, and `id` with `payment_id`."""
    fields = response.DESCRIPTOR.fields_by_name
    for descriptor, value in request.ListFields():
        same = fields.get(descriptor.name)
        if same is None or same.message_type is not None or same.type != descriptor.type:
            continue
        setattr(response, same.name, value)
    if "id" in fields and "payment_id" in request.DESCRIPTOR.fields_by_name:
        setattr(response, "id", request.payment_id)  # type: ignore[attr-defined]  # noqa: B010
    return response


if __name__ == "__main__":
    # For tests that kill it: prints `ready`, then the request id of each call.
    upstream = Upstream(port=int(sys.argv[1]), record=lambda call: print(call.metadata["x-request-id"], flush=True))
    asyncio.run(upstream.serve(lambda: print("ready", flush=True)))
