"""Native gRPC and gRPC-Web through the same port: untouched by what is done for REST."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kassa.v1 import payment_service_pb2, payment_service_pb2_grpc

from tests.edge.conftest import Edge
from tests.edge.upstream import SERVICES, Upstream

GET_PAYMENT = "/kassa.v1.PaymentService/GetPayment"
REQUEST = payment_service_pb2.GetPaymentRequest(payment_id="pay_1")


@pytest.fixture
def channel(edge: Edge) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        yield channel


def asking(reply: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return (("x-reply", json.dumps(reply)),)


def test_answers_and_metadata_pass(channel: grpc.Channel) -> None:
    stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
    metadata = asking({"initial": {"idempotent-replayed": "true", "x-http-status": "402"}})
    payment, call = stub.GetPayment.with_call(REQUEST, metadata=metadata, timeout=20)
    assert payment.id == "pay_1"
    initial = {each.key: each.value for each in call.initial_metadata()}
    assert initial["idempotent-replayed"] == "true"
    assert call.code() is grpc.StatusCode.OK


def test_errors_keep_status_message_and_details(channel: grpc.Channel) -> None:
    stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
    trailing = {"x-error-body": "{}", "x-http-status": "503", "grpc-status-details-bin": "details"}
    with pytest.raises(grpc.RpcError) as refusal:
        stub.GetPayment(
            REQUEST, metadata=asking({"code": "ABORTED", "message": "Ä?", "trailing": trailing}), timeout=20
        )
    error: Any = refusal.value
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "Ä?")
    assert {each.key: each.value for each in error.trailing_metadata()}["grpc-status-details-bin"] == b"details"


def test_what_a_server_has_let_go_of_may_be_repeated(channel: grpc.Channel) -> None:
    stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
    with pytest.raises(grpc.RpcError) as refusal:
        stub.GetPayment(REQUEST, metadata=asking({"code": "CANCELLED", "message": "CANCELLED"}), timeout=20)
    error: Any = refusal.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details().endswith("The request may be repeated with the same idempotency-key.")


def test_the_callers_deadline_passes(channel: grpc.Channel, upstream: Upstream) -> None:
    stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
    _, call = stub.GetPayment.with_call(REQUEST, timeout=5)
    request_id = {each.key: each.value for each in call.initial_metadata()}["x-request-id"]
    (received,) = [each for each in upstream.calls if each.metadata["x-request-id"] == request_id]
    # gRPC rounds the header up; without one the edge gives 30 seconds.
    assert received.seconds_left is not None and received.seconds_left < 10
    with pytest.raises(grpc.RpcError) as refusal:
        stub.GetPayment(REQUEST, metadata=asking({"seconds": 30}), timeout=0.2)
    assert refusal.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_an_unknown_service_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary("/admin.v1.Admin/Everything")(b"", timeout=20)
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_reflection_passes(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = list(stub.ServerReflectionInfo(requests, timeout=20))
    assert set(SERVICES) <= {service.name for service in answer.list_services_response.service}


def test_reflection_answers_before_its_requests_end(channel: grpc.Channel) -> None:
    answered = threading.Event()

    def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        answered.wait(20)

    answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests(), timeout=10)
    assert next(answers).WhichOneof("message_response") == "list_services_response"
    answered.set()
    assert list(answers) == []


def test_health_passes(channel: grpc.Channel) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_grpc_web_passes(edge: Edge) -> None:
    message = REQUEST.SerializeToString()
    answer = edge.send(
        "POST",
        GET_PAYMENT,
        b"\0" + len(message).to_bytes(4, "big") + message,
        headers={"content-type": "application/grpc-web+proto", "origin": "https://shop.example"},
    )
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.body.startswith(b"\0" + len(message).to_bytes(4, "big") + message)
    assert b"grpc-status:0" in answer.body
