"""What both clients send of attention items, on fake channels."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest
from kassa.client import Attention, Sender
from kassa.requests import attention_request
from kassa.retries import Retries
from kassa.v1 import attention_service_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["AttentionService"]


def test_a_list_fetches_its_pages_as_they_are_needed() -> None:
    channel: Any = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    attention = Attention(channel, Sender("sk_test_1", 30, Retries(3), lambda _: None))
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(lambda: [item.id for item in attention.list(kind="UNRESOLVED", include_resolved=True)])
        asked = []
        for ids, token in ((["att_2"], "more"), (["att_1"], "")):
            metadata, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["ListAttention"])
            asked.append((request.kind, request.include_resolved, request.page_token))
            assert "idempotency-key" not in dict(metadata)
            rpc.send_initial_metadata(())
            items = [pb.AttentionItem(id=one) for one in ids]
            page = pb.ListAttentionResponse(items=items, next_page_token=token)
            rpc.terminate(page, (), grpc.StatusCode.OK, "")
        assert listing.result(10) == ["att_2", "att_1"]
    assert asked == [(pb.AttentionItem.UNRESOLVED, True, token) for token in ("", "more")]


def test_a_kind_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="SOMETHING"):
        attention_request({"kind": "SOMETHING"})  # type: ignore[typeddict-item]
