"""The analysts' calls through both clients, against a server that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import kassa
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from kassa.requests import decisions_request, label_request, reviews_request
from kassa.v1 import fraud_service_pb2 as pb

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = pb.DESCRIPTOR.services_by_name["FraudService"]
PAGED = {
    "ListReviews": "reviews",
    "ListDecisions": "decisions",
    "ListListEntries": "entries",
    "ListRuleSnoozes": "snoozes",
}
ASKED: list[tuple[str, dict[str, Any], bool]] = [
    ("ListReviews", {"state": "OPEN", "claimed_by": "Ada"}, False),
    ("ListReviews", {"state": "OPEN", "claimed_by": "Ada", "page_token": "t"}, False),
    ("GetReview", {"payment_id": "pay_1"}, False),
    ("ClaimReview", {"payment_id": "pay_1", "analyst": "Ada"}, False),
    ("AddReviewNote", {"payment_id": "pay_1", "analyst": "Ada", "text": "Calls back."}, False),
    ("ReleaseReview", {"payment_id": "pay_1", "analyst": "Ada"}, False),
    ("ApproveReview", {"payment_id": "pay_1", "analyst": "Ada", "reason": "A regular."}, True),
    ("RejectReview", {"payment_id": "pay_2", "analyst": "Ada"}, True),
    ("ListDecisions", {"rule": "many_cards", "outcome": "REVIEW", "created_after": "2026-01-01T00:00:00Z"}, False),
    ("ListDecisions", {"rule": "many_cards", "outcome": "REVIEW", "created_after": "2026-01-01T00:00:00Z",
                       "page_token": "t"}, False),
    ("GetDecision", {"payment_id": "pay_1"}, False),
    ("LabelPayment", {"payment_id": "pay_1", "label": "FRAUD", "analyst": "Ada", "note": "Stolen."}, False),
    ("AddListEntry", {"list_name": "ips", "value": "a", "author": "Ada", "reason": "Fraud.",
                      "expires_at": "2026-01-01T00:00:00Z"}, False),
    ("RemoveListEntry", {"list_entry_id": "lst_1", "removed_by": "Ada"}, False),
    ("ListListEntries", {"list_name": "ips", "include_past": True}, False),
    ("ListListEntries", {"list_name": "ips", "include_past": True, "page_token": "t"}, False),
    ("SnoozeRule", {"rule": "many_cards", "author": "Ada", "reason": "A campaign.",
                    "expires_at": "2026-01-01T00:00:00Z"}, False),
    ("EndRuleSnooze", {"snooze_id": "snz_1", "ended_by": "Ada"}, False),
    ("ListRuleSnoozes", {"rule": "many_cards", "include_past": True}, False),
    ("ListRuleSnoozes", {"rule": "many_cards", "include_past": True, "page_token": "t"}, False),
    ("GetRuleStatistics", {"created_after": "2026-01-01T00:00:00Z", "merchant_id": "mer_1"}, False),
]  # fmt: skip
"""Every method of the service, what is sent, and whether it goes with an idempotency key."""


class Gateway(grpc.GenericRpcHandler):
    """Answers every method of FraudService; lists have two pages of one item each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], bool]] = []

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = SERVICE.methods_by_name[details.method.rpartition("/")[2]]
        metadata = {item[0]: item[1] for item in details.invocation_metadata}
        assert metadata["authorization"] == "Bearer sk_test_1"
        answer = GetMessageClass(method.output_type)

        async def serve(request: Any, context: Any) -> Any:
            fields = MessageToDict(request, preserving_proto_field_name=True)
            self.asked.append((method.name, fields, "idempotency-key" in metadata))
            if method.name not in PAGED:
                return answer()
            items = getattr(page := answer(), PAGED[method.name])
            items.add()
            page.next_page_token = "" if request.page_token else "t"
            return page

        asked = GetMessageClass(method.input_type)
        return grpc.unary_unary_rpc_method_handler(serve, asked.FromString, answer.SerializeToString)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def target(gateway: Gateway) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((gateway,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def test_the_list_above_misses_no_method() -> None:
    assert {name for name, _, _ in ASKED} == set(SERVICE.methods_by_name)


async def test_the_client_for_asyncio_speaks_every_method(target: str, gateway: Gateway) -> None:
    async with kassa.AsyncClient(target, "sk_test_1", timeout=10) as client:
        fraud = client.fraud
        assert len([one async for one in fraud.reviews(state="OPEN", claimed_by="Ada")]) == 2
        await fraud.review("pay_1")
        await fraud.claim("pay_1", analyst="Ada")
        await fraud.add_note("pay_1", analyst="Ada", text="Calls back.")
        await fraud.release("pay_1", analyst="Ada")
        await fraud.approve("pay_1", analyst="Ada", reason="A regular.")
        await fraud.reject("pay_2", analyst="Ada", idempotency_key="reject-1")
        found = fraud.decisions(rule="many_cards", outcome="REVIEW", created_after=NEW_YEAR)
        assert len([one async for one in found]) == 2
        await fraud.decision("pay_1")
        await fraud.label("pay_1", "FRAUD", analyst="Ada", note="Stolen.")
        await fraud.add_list_entry(list_name="ips", value="a", author="Ada", reason="Fraud.", expires_at=NEW_YEAR)
        await fraud.remove_list_entry("lst_1", removed_by="Ada")
        assert len([one async for one in fraud.list_entries(list_name="ips", include_past=True)]) == 2
        await fraud.snooze_rule("many_cards", author="Ada", reason="A campaign.", expires_at=NEW_YEAR)
        await fraud.end_snooze("snz_1", ended_by="Ada")
        assert len([one async for one in fraud.snoozes(rule="many_cards", include_past=True)]) == 2
        await fraud.rule_statistics(created_after=NEW_YEAR, merchant_id="mer_1")
    assert gateway.asked == ASKED


async def test_the_client_for_threads_speaks_every_method(target: str, gateway: Gateway) -> None:
    def work() -> None:
        with kassa.Client(target, "sk_test_1", timeout=10) as client:
            fraud = client.fraud
            assert len([*fraud.reviews(state="OPEN", claimed_by="Ada")]) == 2
            fraud.review("pay_1")
            fraud.claim("pay_1", analyst="Ada")
            fraud.add_note("pay_1", analyst="Ada", text="Calls back.")
            fraud.release("pay_1", analyst="Ada")
            fraud.approve("pay_1", analyst="Ada", reason="A regular.")
            fraud.reject("pay_2", analyst="Ada", idempotency_key="reject-1")
            assert len([*fraud.decisions(rule="many_cards", outcome="REVIEW", created_after=NEW_YEAR)]) == 2
            fraud.decision("pay_1")
            fraud.label("pay_1", "FRAUD", analyst="Ada", note="Stolen.")
            fraud.add_list_entry(list_name="ips", value="a", author="Ada", reason="Fraud.", expires_at=NEW_YEAR)
            fraud.remove_list_entry("lst_1", removed_by="Ada")
            assert len([*fraud.list_entries(list_name="ips", include_past=True)]) == 2
            fraud.snooze_rule("many_cards", author="Ada", reason="A campaign.", expires_at=NEW_YEAR)
            fraud.end_snooze("snz_1", ended_by="Ada")
            assert len([*fraud.snoozes(rule="many_cards", include_past=True)]) == 2
            fraud.rule_statistics(created_after=NEW_YEAR, merchant_id="mer_1")

    await asyncio.to_thread(work)
    assert gateway.asked == ASKED


def test_what_is_none_of_the_contracts_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="GONE"):
        reviews_request({"state": "GONE"})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match="MAYBE"):
        label_request("pay_1", "MAYBE", "Ada", "")
    with pytest.raises(ValueError, match="time zone"):
        decisions_request({"created_after": datetime(2026, 1, 1)})
