"""WebhookService: the bytes and headers of an event reach the use case as they were sent."""

from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from kassa.v1 import webhook_service_pb2 as pb

from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, new_id, render_id
from tests.rpc.conftest import Stack, refused

BODY = b'{"id": "evt_1",\r\n "id": "evt_1", "x": "\xff\xfe\x00"}\n'


def requests(account_id: str = "") -> list[tuple[str, str, Any]]:
    """The same event at both processors."""
    raw = HttpBody(content_type="application/json", data=BODY)
    return [
        ("ReceiveStripeEvent", "stripe", pb.ReceiveStripeEventRequest(account_id=account_id, raw=raw)),
        ("ReceivePayPalEvent", "paypal", pb.ReceivePayPalEventRequest(account_id=account_id, raw=raw)),
    ]


@pytest.mark.parametrize(("method", "processor", "request_"), requests())
async def test_bytes_and_headers_arrive_as_they_were_sent(
    rpc: Stack, method: str, processor: str, request_: Any
) -> None:
    await getattr(rpc.webhooks, method)(request_, metadata=(("stripe-signature", "t=1,v1=abc"), ("x-raw-bin", b"\0")))
    [(name, account_id, headers, body)] = rpc.use_cases["receive_event"].calls
    assert (name, account_id, body) == (processor, None, BODY)
    assert headers["stripe-signature"] == "t=1,v1=abc"
    assert all(isinstance(value, str) for value in headers.values())


async def test_the_path_names_a_merchants_account(rpc: Stack) -> None:
    account = new_id()
    for method, _, request in requests(render_id(Prefix.PROCESSOR_ACCOUNT, account)):
        await getattr(rpc.webhooks, method)(request)
    assert [call[1] for call in rpc.use_cases["receive_event"].calls] == [account, account]


async def test_an_account_that_is_none_is_a_wrong_field(rpc: Stack) -> None:
    for method, _, request in requests("nonsense"):
        seen = await refused(getattr(rpc.webhooks, method)(request))
        assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, "account_id")
    assert rpc.use_cases["receive_event"].calls == []


@pytest.mark.parametrize("reason", [Reason.WEBHOOK_SIGNATURE_INVALID, Reason.WEBHOOK_STALE])
async def test_what_must_not_be_believed_is_a_bad_request(rpc: Stack, reason: Reason) -> None:
    rpc.use_cases["receive_event"].answer = KassaError(reason, "No.")
    seen = await refused(rpc.webhooks.ReceiveStripeEvent(pb.ReceiveStripeEventRequest()))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason.value)
