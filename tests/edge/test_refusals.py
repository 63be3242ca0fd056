"""What the edge refuses, and what it says of errors: always in the contract's shape, never quoting the request."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.edge.conftest import Answer, Edge
from tests.edge.upstream import Call, Upstream

Received = Callable[[Answer], list[Call]]

CARD_NUMBER = "4242424242424242"
MALFORMED = ("invalid_request_error", "REQUEST_MALFORMED", None)


def summary(answer: Answer) -> tuple[str, str, str | None]:
    return answer.error["type"], answer.error["code"], answer.error["param"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (f'{{"card": {{"number": {CARD_NUMBER}}}}}', "card.number"),
        (f'{{"card": {{"exp_month": {CARD_NUMBER}}}}}', "card.exp_month"),
        (f'{{"card": "{CARD_NUMBER}"}}', "card"),
        (f'{{"method": "{CARD_NUMBER}"}}', "method"),
        (f'{{"amount": "{CARD_NUMBER}.5"}}', "amount"),
        (f'{{"billing_address": {{"line1": {CARD_NUMBER}}}}}', "billing_address.line1"),
        (f'{{"card": {{"number": "{CARD_NUMBER}", }}', None),
        (f'{{"card": {{"number": {CARD_NUMBER}', None),
        (f"[{CARD_NUMBER}]", None),
        (CARD_NUMBER, None),
        (f'{{"{CARD_NUMBER}', None),
        (f'{{"metadata": {{"{CARD_NUMBER}": {{}}}}}}', None),
        (f'{{"metadata": {{"{CARD_NUMBER}": true}}}}', None),
        (f'{{"metadata": {{"a": {{"b": {CARD_NUMBER}}}}}}}', None),
    ],
)
def test_a_bad_body_is_refused_without_being_quoted(edge: Edge, body: str, param: str | None) -> None:
    answer = edge.send("POST", "/v1/payments", body, headers={"idempotency-key": "a"})
    assert answer.status == 400
    assert summary(answer) == (("invalid_request_error", "INVALID_FIELD", param) if param else MALFORMED)
    assert CARD_NUMBER not in answer.body.decode()
    assert CARD_NUMBER not in str(answer.headers)
    assert CARD_NUMBER not in edge.logs(answer.headers["x-request-id"])


def test_the_path_of_a_field_is_no_way_to_have_something_quoted(edge: Edge) -> None:
    answer = edge.send("GET", f"/v1/payments?n{CARD_NUMBER}=1")
    assert (answer.status, summary(answer)) == (400, MALFORMED)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/payment"),
        ("GET", "/"),
        ("GET", "/v1/payments/pay_1/nothing"),
        ("PUT", "/v1/payments"),
        ("DELETE", "/v1/payments/pay_1"),
        ("POST", "/kassa.v1.PaymentService/GetPayment"),
    ],
)
def test_an_unknown_address_or_method_is_404(edge: Edge, received: Received, verb: str, path: str) -> None:
    answer = edge.send(verb, path, headers={"content-type": "application/json"})
    assert (answer.status, summary(answer)) == (404, ("invalid_request_error", "UNKNOWN_URL", None))
    assert received(answer) == []


def test_head_is_refused_as_any_unknown_method(edge: Edge) -> None:
    assert edge.send("HEAD", "/v1/payments/pay_1").status == 404


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/payments?page_sizes=5", "page_sizes"),
        ("/v1/payments?page_size=many", "page_size"),
        ("/v1/payments?page%5Fsize=5", None),
        ("/v1/payments/pay_1?payment%5Fid=pay_2", None),
    ],
)
def test_a_bad_query_is_refused(edge: Edge, received: Received, path: str, param: str | None) -> None:
    answer = edge.send("GET", path)
    assert answer.status == 400
    assert summary(answer) == (("invalid_request_error", "INVALID_FIELD", param) if param else MALFORMED)
    assert received(answer) == []


@pytest.mark.parametrize("verb", ["POST", "PATCH", "DELETE"])
def test_only_reading_takes_a_query(edge: Edge, received: Received, verb: str) -> None:
    answer = edge.send(verb, "/v1/merchants/mer_1/api_keys/key_1?api_key_id=key_2")
    assert (answer.status, summary(answer)) == (400, MALFORMED)
    assert received(answer) == []


def test_a_body_does_not_override_the_path(edge: Edge, received: Received) -> None:
    answer = edge.send("POST", "/v1/payments/pay_1/capture", {"payment_id": "pay_2"})
    assert answer.status == 400
    assert received(answer) == []


def test_an_escaped_slash_is_refused_in_the_same_shape(edge: Edge) -> None:
    answer = edge.send("GET", "/v1/payments/a%2Fb")
    assert answer.status == 400
    assert answer.json["error"]["code"] == "REQUEST_MALFORMED"


def error_reply(body: str, **others: Any) -> dict[str, Any]:
    return {"code": "NOT_FOUND", "message": "inside", "trailing": {"x-error-body": body}, **others}


BODY = json.dumps({"error": {"type": "invalid_request_error", "code": "PAYMENT_NOT_FOUND"}})


def test_the_servers_words_become_the_body(edge: Edge) -> None:
    answer = edge.send("GET", "/v1/payments/pay_1", reply=error_reply(BODY))
    assert (answer.status, answer.body.decode()) == (404, BODY)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(BODY))
    assert not {"x-error-body", "grpc-status", "grpc-message", "grpc-status-details-bin"} & set(answer.headers)


def test_the_server_chooses_the_status_of_an_error(edge: Edge) -> None:
    reply = error_reply(BODY)
    reply["trailing"]["x-http-status"] = "503"
    reply["trailing"]["retry-after"] = "2"
    answer = edge.send("GET", "/v1/payments/pay_1", reply=reply)
    assert (answer.status, answer.body.decode()) == (503, BODY)
    assert answer.headers["retry-after"] == "2"


def test_the_servers_words_are_found_after_headers_of_its_own(edge: Edge) -> None:
    reply = error_reply(BODY, initial={"retry-after": "2"})
    reply["trailing"]["x-http-status"] = "503"
    answer = edge.send("POST", "/v1/payments", {}, reply=reply)
    assert (answer.status, answer.body.decode()) == (503, BODY)
    assert answer.headers["retry-after"] == "2"
    assert not {"x-error-body", "x-http-status"} & set(answer.headers)


def test_a_status_for_success_is_not_obeyed_by_an_error(edge: Edge) -> None:
    reply = error_reply(BODY, initial={"x-http-status": "201"})
    answer = edge.send("POST", "/v1/payments", {}, reply=reply)
    assert (answer.status, answer.body.decode()) == (404, BODY)
    masked = edge.send("POST", "/v1/payments", {}, reply={"initial": {"x-http-status": "201"}, "code": "INTERNAL"})
    assert masked.status == 500


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        ({"raise": "secret"}, 500, "INTERNAL"),
        ({"code": "INTERNAL", "message": "secret"}, 500, "INTERNAL"),
        ({"code": "NOT_FOUND", "message": "secret"}, 500, "INTERNAL"),
        ({"code": "UNAVAILABLE", "message": "secret"}, 503, "SERVICE_UNAVAILABLE"),
        ({"code": "DEADLINE_EXCEEDED", "message": "secret"}, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_what_the_server_did_not_put_into_words_is_masked(
    edge: Edge, reply: dict[str, Any], status: int, code: str
) -> None:
    answer = edge.send("POST", "/v1/payments", {}, reply=reply)
    assert (answer.status, summary(answer)) == (status, ("api_error", code, None))
    assert "secret" not in answer.body.decode() + str(answer.headers)


def test_error_details_do_not_empty_the_body(edge: Edge) -> None:
    reply = error_reply(BODY)
    # google.rpc.Status{code: 5, details: [ErrorInfo{reason: "R", domain: "kassa"}]}
    detail = b"\n\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x0a\n\x01R\x12\x05kassa"
    reply["trailing"]["grpc-status-details-bin"] = (b"\x08\x05\x12\x01m\x1a" + bytes([len(detail)]) + detail).decode(
        "latin-1"
    )
    answer = edge.send("GET", "/v1/payments/pay_1", reply=reply)
    assert (answer.status, answer.body.decode()) == (404, BODY)


def test_queries_and_keys_are_not_logged(edge: Edge, upstream: Upstream) -> None:
    answer = edge.send(
        "GET",
        "/v1/payments?customer_id=cus_secret",
        headers={"authorization": "Bearer sk_secret", "idempotency-key": "key_secret"},
    )
    assert answer.status == 200
    logged = edge.logs(answer.headers["x-request-id"])
    (line,) = [line for line in logged.splitlines() if answer.headers["x-request-id"] in line]
    assert "secret" not in line
    assert json.loads(line) | {"path": "/v1/payments", "rpc": "/kassa.v1.PaymentService/ListPayments"} == json.loads(
        line
    )


def test_what_a_server_has_let_go_of_is_told_to_come_again(edge: Edge) -> None:
    answer = edge.send("POST", "/v1/payments", {"amount": 1}, reply={"code": "CANCELLED", "message": "CANCELLED"})
    assert (answer.status, summary(answer)) == (503, ("api_error", "SERVICE_UNAVAILABLE", None))
    assert answer.headers["retry-after"] == "1"
