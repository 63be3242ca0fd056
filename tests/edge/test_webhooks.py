"""Webhooks through the edge: the signature covers the bytes, so not one of them may change."""

import gzip
from collections.abc import Callable

import pytest

from tests.edge.conftest import Answer, Edge
from tests.edge.upstream import Call

Received = Callable[[Answer], list[Call]]

BODIES = {
    "spaces and CRLF": b'{ "a" : 1,\r\n\t"b":2 }\r\n',
    "duplicate keys": b'{"a":1,"a":2}',
    "invalid UTF-8": b'{"a":"\xff\xfe"}',
    "NUL": b"a\x00b",
    "gzip": gzip.compress(b'{"a":1}', mtime=0),
    "no JSON at all": b"hello=world",
    "empty": b"",
    "large": b"x" * 500_000,
}


@pytest.mark.parametrize("path", ["/v1/webhooks/stripe", "/v1/webhooks/paypal", "/v1/webhooks/stripe/acct_1"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bytes_arrive_identical(edge: Edge, received: Received, path: str, body: bytes) -> None:
    answer = edge.send("POST", path, body, headers={"content-type": "application/json"})
    assert (answer.status, answer.json) == (200, {})
    (call,) = received(answer)
    assert call.request.raw.data == body
    assert call.request.account_id == ("acct_1" if path.endswith("acct_1") else "")


def test_signature_headers_arrive(edge: Edge, received: Received) -> None:
    headers = {
        "stripe-signature": "t=1,v1=abc",
        "paypal-transmission-id": "b2384410",
        "paypal-transmission-sig": "a+b/c==",
        "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "content-encoding": "gzip",
    }
    answer = edge.send("POST", "/v1/webhooks/paypal", gzip.compress(b"{}"), headers=headers)
    (call,) = received(answer)
    assert {name: call.metadata.get(name) for name in headers} == headers
