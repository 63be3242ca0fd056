"""AttentionService over a real server: who sees what, and how an item looks."""

from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
from kassa.v1 import attention_service_pb2 as pb

from server.domain.attention import AttentionItem, AttentionKind
from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, new_id, render_id
from server.storage.attention import AttentionFilter
from server.usecases.answers import Page
from tests.rpc.conftest import MERCHANT, MERCHANT_KEY, PLATFORM_KEY, Stack, refused

MERCHANT_METADATA = (("authorization", f"Bearer {MERCHANT_KEY}"),)
PLATFORM_METADATA = (("authorization", f"Bearer {PLATFORM_KEY}"),)
OTHER = uuid4()


def item(**changes: object) -> AttentionItem:
    fields = {
        "id": new_id(), "merchant_id": MERCHANT.merchant_id, "payment_id": new_id(), "transaction_id": new_id(),
        "kind": AttentionKind.CONTRADICTION, "detail": "Told.", "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        "resolved_at": None, "resolved_by": "", "note": "",
    }  # fmt: skip
    return AttentionItem(**(fields | changes))  # type: ignore[arg-type]


async def test_an_item_is_shown_as_the_contract_says(rpc: Stack) -> None:
    found = item()
    rpc.use_cases["list_attention"].answer = Page((found,), "next")
    response = await rpc.attention.ListAttention(pb.ListAttentionRequest(), metadata=MERCHANT_METADATA)
    (shown,) = response.items
    assert response.next_page_token == "next"
    assert shown.id == render_id(Prefix.ATTENTION, found.id)
    assert shown.payment_id == render_id(Prefix.PAYMENT, found.payment_id)
    assert shown.transaction_id == render_id(Prefix.TRANSACTION, found.transaction_id)
    assert (shown.kind, shown.detail) == (pb.AttentionItem.CONTRADICTION, "Told.")
    assert not shown.HasField("resolved_at")


async def test_every_filter_reaches_the_list(rpc: Stack) -> None:
    rpc.use_cases["list_attention"].answer = Page((), "")
    payment = new_id()
    request = pb.ListAttentionRequest(
        kind=pb.AttentionItem.UNRESOLVED,
        payment_id=render_id(Prefix.PAYMENT, payment),
        merchant_id=render_id(Prefix.MERCHANT, OTHER),
        include_resolved=True,
        page_size=7,
        page_token="token",
    )
    await rpc.attention.ListAttention(request, metadata=PLATFORM_METADATA)
    wanted = AttentionFilter(OTHER, payment, AttentionKind.UNRESOLVED, include_resolved=True)
    assert rpc.use_cases["list_attention"].calls == [(wanted, 7, "token")]


async def test_a_merchant_sees_its_own_and_the_platform_all(rpc: Stack) -> None:
    rpc.use_cases["list_attention"].answer = Page((), "")
    for metadata in (MERCHANT_METADATA, PLATFORM_METADATA):
        await rpc.attention.ListAttention(pb.ListAttentionRequest(), metadata=metadata)
    asked = [call[0].merchant_id for call in rpc.use_cases["list_attention"].calls]
    assert asked == [MERCHANT.merchant_id, None]


async def test_a_merchant_that_names_another_is_refused(rpc: Stack) -> None:
    request = pb.ListAttentionRequest(merchant_id=render_id(Prefix.MERCHANT, OTHER))
    seen = await refused(rpc.attention.ListAttention(request, metadata=MERCHANT_METADATA))
    assert (seen.code, seen.reason, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "merchant_id")
    assert rpc.use_cases["list_attention"].calls == []


async def test_resolving_passes_on_whose_item_who_and_what_was_done(rpc: Stack) -> None:
    done = item(resolved_at=datetime(2026, 1, 3, tzinfo=UTC), resolved_by="Ada", note="Refunded.")
    rpc.use_cases["resolve_attention"].answer = done
    request = pb.ResolveAttentionRequest(
        attention_id=render_id(Prefix.ATTENTION, done.id), note="Refunded.", resolved_by="Ada"
    )
    shown = await rpc.attention.ResolveAttention(request, metadata=MERCHANT_METADATA)
    await rpc.attention.ResolveAttention(request, metadata=PLATFORM_METADATA)
    assert [call[0] for call in rpc.use_cases["resolve_attention"].calls] == [MERCHANT.merchant_id, None]
    assert rpc.use_cases["resolve_attention"].calls[0][1:] == (done.id, "Ada", "Refunded.")
    assert (shown.resolved_by, shown.note, shown.resolved_at.seconds) == ("Ada", "Refunded.", 1767398400)


@pytest.mark.parametrize(("missing", "field"), [("note", "note"), ("resolved_by", "resolved_by")])
async def test_who_and_what_was_done_must_be_told(rpc: Stack, missing: str, field: str) -> None:
    values = {"attention_id": render_id(Prefix.ATTENTION, new_id()), "note": "Done.", "resolved_by": "Ada"}
    request = pb.ResolveAttentionRequest(**(values | {missing: " "}))
    assert (await refused(rpc.attention.ResolveAttention(request, metadata=MERCHANT_METADATA))).field == field


async def test_an_item_that_is_not_there_is_not_found(rpc: Stack) -> None:
    rpc.use_cases["resolve_attention"].answer = KassaError(Reason.ATTENTION_NOT_FOUND, "There is no such item.")
    request = pb.ResolveAttentionRequest(
        attention_id=render_id(Prefix.ATTENTION, new_id()), note="Done.", resolved_by="Ada"
    )
    seen = await refused(rpc.attention.ResolveAttention(request, metadata=MERCHANT_METADATA))
    assert (seen.code, seen.reason) == (grpc.StatusCode.NOT_FOUND, "ATTENTION_NOT_FOUND")
