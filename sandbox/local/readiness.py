"""Tells when a part of the stack serves. Each check asks once and is called by the supervisor until it says yes."""

import socket
from collections.abc import Callable
from http import HTTPStatus

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from sandbox.local.loopback_http import ask
from sandbox.local.ports import LOOPBACK

Check = Callable[[], bool]
_SECONDS = 2.0


def http_ok(url: str) -> Check:
    """A check that GET `url` answers 200."""

    def check() -> bool:
        try:
            status, _ = ask(url, timeout=_SECONDS)
        except OSError:
            return False
        return status == HTTPStatus.OK

    return check


def accepts(port: int) -> Check:
    """A check that somebody listens on a TCP port of the loopback address."""

    def check() -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=_SECONDS):
                return True
        except OSError:
            return False

    return check


def grpc_serving(target: str) -> Check:
    """A check that the gRPC server at `host:port` reports SERVING for itself as a whole."""

    def check() -> bool:
        with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                answer = channel.unary_unary(
                    "/grpc.health.v1.Health/Check",
                    request_serializer=HealthCheckRequest.SerializeToString,
                    response_deserializer=HealthCheckResponse.FromString,
                )(HealthCheckRequest(), timeout=_SECONDS)
            except grpc.RpcError:
                return False
        return bool(answer.status == HealthCheckResponse.SERVING)

    return check
