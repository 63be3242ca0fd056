"""REST through the edge: every method of the contract, JSON both ways, statuses, headers."""

import re
from collections.abc import Callable

import grpc
import pytest
from google.api import annotations_pb2
from kassa.v1 import payment_service_pb2

from tests.edge.conftest import Answer, Edge
from tests.edge.upstream import FILES, Call

Received = Callable[[Answer], list[Call]]


def bindings() -> list[tuple[str, str, str]]:
    """Every address of the contract: gRPC path, HTTP method, HTTP path."""
    found = []
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                for binding in (rule, *rule.additional_bindings):
                    verb = binding.WhichOneof("pattern")
                    found.append((f"/{service.full_name}/{method.name}", verb.upper(), getattr(binding, verb)))
    return found


@pytest.mark.parametrize(("method", "verb", "path"), bindings(), ids=[f"{verb} {path}" for _, verb, path in bindings()])
def test_every_method_works_both_ways(edge: Edge, received: Received, method: str, verb: str, path: str) -> None:
    names = re.findall(r"{(\w+)}", path)
    answer = edge.send(verb, re.sub(r"{(\w+)}", r"\1-1", path), headers={"idempotency-key": "a"})
    assert answer.status == 200, answer.body
    (call,) = received(answer)
    assert call.method == method.rpartition("/")[2]
    assert {name: getattr(call.request, name) for name in names} == {name: f"{name}-1" for name in names}

    request = type(call.request)(**{name: f"{name}-1" for name in names})
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        raw = channel.unary_unary(method)(request.SerializeToString(), timeout=20)
    assert isinstance(raw, bytes)


@pytest.mark.parametrize(
    ("path", "name"),
    sorted({(path, name) for _, verb, path in bindings() if verb == "GET" for name in re.findall(r"{(\w+)}", path)}),
)
@pytest.mark.parametrize("spelling", ["snake_case", "camelCase"])
def test_a_query_does_not_override_the_path(
    edge: Edge, received: Received, path: str, name: str, spelling: str
) -> None:
    parameter = name if spelling == "snake_case" else re.sub(r"_(\w)", lambda match: match[1].upper(), name)
    answer = edge.send("GET", re.sub(r"{\w+}", "mine", path) + f"?{parameter}=other")
    assert (answer.status, answer.error["param"]) == (400, parameter)
    assert received(answer) == []


def test_amounts_are_strings_in_answers_and_either_in_requests(edge: Edge, received: Received) -> None:
    for amount in ("9007199254740993", 9007199254740993):
        answer = edge.send("POST", "/v1/payments", {"amount": amount, "currency": "USD"})
        assert answer.json["amount"] == "9007199254740993"
        (call,) = received(answer)
        assert call.request == payment_service_pb2.CreatePaymentRequest(amount=9007199254740993, currency="USD")


def test_answers_spell_fields_as_the_contract_and_keep_zeroes(edge: Edge) -> None:
    body = edge.send("GET", "/v1/payments/pay_1").json
    assert body["amount_refunded"] == "0"
    assert body["processor_payment_id"] == ""
    assert "card" not in body and "failure" not in body


def test_an_absent_amount_differs_from_zero(edge: Edge, received: Received) -> None:
    (whole,) = received(edge.send("POST", "/v1/payments/pay_1/capture", {}))
    (none,) = received(edge.send("POST", "/v1/payments/pay_1/capture", {"amount": 0}))
    assert (whole.request.HasField("amount"), none.request.HasField("amount")) == (False, True)


def test_lists_are_filtered_in_the_query(edge: Edge, received: Received) -> None:
    query = "page_size=5&state=completed&customer_id=a+b%26c&created_after=2026-01-02T03:04:05Z"
    (call,) = received(edge.send("GET", f"/v1/payments?{query}"))
    expected = payment_service_pb2.ListPaymentsRequest(
        page_size=5, state=payment_service_pb2.Payment.COMPLETED, customer_id="a b&c"
    )
    expected.created_after.FromJsonString("2026-01-02T03:04:05Z")
    assert call.request == expected


@pytest.mark.parametrize("status", [200, 201, 202, 402, 503])
def test_the_server_chooses_the_status_of_a_success(edge: Edge, status: int) -> None:
    answer = edge.send("POST", "/v1/payments", {"amount": 1}, reply={"initial": {"x-http-status": str(status)}})
    assert answer.status == status
    assert answer.json["amount"] == "1"
    assert "x-http-status" not in answer.headers


def test_headers_of_the_server_reach_the_merchant_and_those_of_grpc_do_not(edge: Edge) -> None:
    answer = edge.send("GET", "/v1/payments/pay_1", reply={"initial": {"idempotent-replayed": "true"}})
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in answer.headers if name.startswith(("grpc-", "x-envoy")) or name == "server"]


def test_the_server_sees_the_merchants_headers(edge: Edge, received: Received) -> None:
    headers = {"authorization": "Bearer sk_test_1", "idempotency-key": "order-1"}
    (call,) = received(edge.send("POST", "/v1/payments", {}, headers=headers))
    assert {name: call.metadata[name] for name in headers} == headers


def test_the_edge_makes_the_request_id(edge: Edge, received: Received) -> None:
    answer = edge.send("GET", "/v1/payments/pay_1", headers={"x-request-id": "mine"})
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
    (call,) = received(answer)
    assert call.metadata["x-request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("name", ["x-trace-bin", "x-envoy-anything", "x-jwt-sub"])
def test_headers_that_speak_to_the_inside_are_dropped(edge: Edge, received: Received, name: str) -> None:
    answer = edge.send("GET", "/v1/payments/pay_1", headers={name: "!"})
    assert answer.status == 200
    (call,) = received(answer)
    assert name not in call.metadata


@pytest.mark.parametrize(("verb", "path", "seconds"), [("GET", "/v1/payments/pay_1", 8), ("POST", "/v1/payments", 28)])
def test_the_server_is_given_a_deadline(edge: Edge, received: Received, verb: str, path: str, seconds: int) -> None:
    (call,) = received(edge.send(verb, path, headers={"grpc-timeout": "99H"}))
    assert call.seconds_left is not None
    assert seconds - 3 < call.seconds_left <= seconds


def test_a_page_of_another_origin_may_call(edge: Edge) -> None:
    origin = {"origin": "https://shop.example"}
    asked = edge.send("OPTIONS", "/v1/payments", headers={**origin, "access-control-request-method": "POST"})
    assert asked.status == 200
    assert "idempotency-key" in asked.headers["access-control-allow-headers"]
    answer = edge.send("GET", "/v1/payments/pay_1", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in answer.headers
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
