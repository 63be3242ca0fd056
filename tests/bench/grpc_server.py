"""A gRPC server in a process of its own, for tests of the load generator: `python -m tests.bench.grpc_server`.

It prints its port, and ends when its standard input does. Whoever puts a load on it waits for that load's processes, so
it needs a loop that nobody blocks.
"""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio
from kassa.v1 import payment_service_pb2 as pb

BIG = b"x" * 200_000


async def echo(request: bytes, context: Any) -> bytes:
    """Answers with what it gets."""
    await asyncio.sleep(0.01)
    return request


async def big(request: bytes, context: Any) -> bytes:
    """Answers with more than a frame."""
    return BIG


async def refuse(request: bytes, context: Any) -> bytes:
    """Refuses with details, as a server does that cannot keep up."""
    context.set_trailing_metadata((("grpc-status-details-bin", b"\x00\x01"), ("a", "b")))
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
    return b""


async def create(request: bytes, context: Any) -> bytes:
    """Completes each payment."""
    assert pb.CreatePaymentRequest.FromString(request).amount >= 500
    return pb.Payment(state=pb.Payment.COMPLETED).SerializeToString()


async def get(request: bytes, context: Any) -> bytes:
    """Cannot read any."""
    await context.abort(grpc.StatusCode.INTERNAL, "broken")
    return b""


class Handler(grpc.GenericRpcHandler):
    """Finds a method by the last part of its name."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        methods = {"echo": echo, "big": big, "refuse": refuse, "CreatePayment": create, "GetPayment": get}
        return grpc.unary_unary_rpc_method_handler(methods[details.method.rpartition("/")[2]])


async def main() -> None:
    """Serves until nobody holds the other end of standard input."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
