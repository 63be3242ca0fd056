"""What surrounds every call: keys, request ids, errors, headers and the log line."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import RequestInfo, RetryInfo
from kassa.v1 import (
    attention_service_pb2,
    dispute_service_pb2,
    fraud_service_pb2,
    ledger_service_pb2,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    payment_service_pb2,
    webhook_service_pb2,
)
from kassa.v1 import payment_service_pb2 as pb
from structlog.testing import capture_logs

from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, new_id, render_id
from server.rpc.access import ACCESS
from server.rpc.interceptor import Methods
from tests.factories import make_payment
from tests.rpc.conftest import BUSY, MERCHANT, METADATA, PLATFORM_KEY, Stack, authenticate, create_request, refused

GET = pb.GetPaymentRequest(payment_id=render_id(Prefix.PAYMENT, new_id()))
CARD = "4242424242424242"


def test_every_method_has_its_access_rule() -> None:
    files = (
        payment_service_pb2,
        attention_service_pb2,
        dispute_service_pb2,
        fraud_service_pb2,
        ledger_service_pb2,
        merchant_service_pb2,
        webhook_service_pb2,
    )
    methods = {
        f"/{service.full_name}/{method.name}"
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert set(ACCESS) == methods


@pytest.mark.parametrize("header", [None, "", "sk_test_merchant", "Basic c2s6", "Bearer", "Bearer a b"])
async def test_no_key_is_unauthenticated(rpc: Stack, header: str | None) -> None:
    metadata = () if header is None else (("authorization", header),)
    seen = await refused(rpc.payments.GetPayment(GET, metadata=metadata))
    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "AUTHENTICATION_REQUIRED")
    assert rpc.use_cases["get"].calls == []


async def test_unknown_key_is_unauthenticated(rpc: Stack) -> None:
    seen = await refused(rpc.payments.GetPayment(GET, metadata=(("authorization", "Bearer sk_test_no"),)))
    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "API_KEY_INVALID")


async def test_platform_key_touches_no_payment(rpc: Stack) -> None:
    seen = await refused(rpc.payments.GetPayment(GET, metadata=(("authorization", f"Bearer {PLATFORM_KEY}"),)))
    assert (seen.code, seen.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert rpc.use_cases["get"].calls == []


async def test_merchant_key_administers_nothing(rpc: Stack) -> None:
    stub = merchant_service_pb2_grpc.MerchantServiceStub(rpc.channel)
    seen = await refused(stub.CreateMerchant(merchant_service_pb2.CreateMerchantRequest(), metadata=METADATA))
    assert (seen.code, seen.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


async def test_merchant_key_reads_no_other_merchant(rpc: Stack) -> None:
    stub = merchant_service_pb2_grpc.MerchantServiceStub(rpc.channel)
    other = merchant_service_pb2.GetMerchantRequest(merchant_id=render_id(Prefix.MERCHANT, new_id()))
    seen = await refused(stub.GetMerchant(other, metadata=METADATA))
    assert (seen.code, seen.reason) == (grpc.StatusCode.NOT_FOUND, "MERCHANT_NOT_FOUND")


async def test_webhooks_need_no_key(rpc: Stack) -> None:
    await rpc.webhooks.ReceiveStripeEvent(webhook_service_pb2.ReceiveStripeEventRequest())
    assert len(rpc.use_cases["receive_event"].calls) == 1


async def test_request_id_comes_back_in_header_body_and_details(rpc: Stack) -> None:
    rpc.use_cases["get"].answer = KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment.")
    seen = await refused(rpc.payments.GetPayment(GET, metadata=(*METADATA, ("x-request-id", "req-7"))))
    assert seen.trailing["x-request-id"] == "req-7"
    assert json.loads(seen.trailing["x-error-body"])["error"]["request_id"] == "req-7"
    assert seen.detail(RequestInfo).request_id == "req-7"


@pytest.mark.parametrize("given", ["", "a" * 129, 'x" y', "1,2"])
async def test_a_request_id_that_could_break_a_log_is_replaced(rpc: Stack, given: str) -> None:
    rpc.use_cases["get"].answer = KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment.")
    seen = await refused(rpc.payments.GetPayment(GET, metadata=(*METADATA, ("x-request-id", given))))
    made = seen.trailing["x-request-id"]
    assert isinstance(made, str) and len(made) == 32 and made != given


async def test_refusal_names_its_pause(rpc: Stack) -> None:
    rpc.use_cases["get"].answer = KassaError(Reason.OVERLOADED, "Later.")
    seen = await refused(rpc.payments.GetPayment(GET, metadata=METADATA))
    assert seen.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (seen.trailing["retry-after"], seen.trailing["x-http-status"]) == ("1", "503")
    assert seen.detail(RetryInfo).retry_delay.seconds == 1


async def test_refusal_sends_no_status_before_the_abort(rpc: Stack) -> None:
    """At Envoy, a status in the initial metadata would win over the error."""
    rpc.use_cases["create"].answer = KassaError(Reason.PROCESSOR_NOT_CONFIGURED, "None.")
    seen = await refused(rpc.payments.CreatePayment(create_request(), metadata=METADATA))
    assert not seen.initial.keys() - {"content-type", "grpc-accept-encoding"}


async def test_defect_shows_nothing_and_logs_where_without_what(rpc: Stack) -> None:
    rpc.use_cases["create"].answer = RuntimeError(f"cannot charge {CARD}, SELECT * FROM payments")
    with capture_logs() as lines:
        seen = await refused(rpc.payments.CreatePayment(create_request(), metadata=METADATA))
    shown = f"{seen.message} {seen.trailing} {seen.initial}"
    assert (seen.code, seen.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert CARD not in shown and "SELECT" not in shown and "RuntimeError" not in shown
    [defect] = [line for line in lines if line["event"] == "defect"]
    assert defect["raised"][0]["type"] == "builtins.RuntimeError"
    assert any("payment_service.py" in frame for frame in defect["raised"][0]["stack"])
    assert CARD not in str(lines) and "SELECT" not in str(lines)


async def test_bytes_that_are_no_message_are_the_callers_fault(rpc: Stack) -> None:
    call = rpc.channel.unary_unary("/kassa.v1.PaymentService/GetPayment")
    seen = await refused(call(b"\x0a\x02\xff\xfe", metadata=METADATA))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_a_caller_without_a_key_learns_nothing_about_its_request(rpc: Stack) -> None:
    call = rpc.channel.unary_unary("/kassa.v1.PaymentService/GetPayment")
    assert (await refused(call(b"\x0a\x02\xff\xfe"))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_caller_who_leaves_is_logged_as_such(rpc: Stack) -> None:
    arrived = asyncio.Event()

    async def hang() -> Any:
        arrived.set()
        await asyncio.Event().wait()

    rpc.use_cases["get"].answer = hang
    with capture_logs() as lines:
        call = rpc.payments.GetPayment(GET, metadata=METADATA)
        waiting = asyncio.ensure_future(_code(call))
        await arrived.wait()
        call.cancel()
        assert await waiting is grpc.StatusCode.CANCELLED
        # Once the server is down, its handlers have ended.
        await rpc.server.stop()
    assert [line["code"] for line in lines if line["event"] == "call"] == ["CANCELLED"]


async def test_a_caller_who_leaves_while_the_answer_is_sent_is_logged_as_well() -> None:
    """The call may have taken money, so there must be a line of it."""

    class Gone:
        def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
            return METADATA

        async def send_initial_metadata(self, headers: object) -> None:
            raise asyncio.CancelledError

    async def answer(request: bytes, context: object) -> bytes:
        return b"paid"

    name, told = "/kassa.v1.PaymentService/GetPayment", []
    methods = Methods(authenticate, lambda *call: told.append(call))
    handlers = {"GetPayment": grpc.unary_unary_rpc_method_handler(answer, bytes, bytes)}
    methods.add_registered_method_handlers("kassa.v1.PaymentService", handlers)
    found: Any = methods.service(cast(grpc.HandlerCallDetails, SimpleNamespace(method=name)))
    with capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        await found.unary_unary(b"", Gone())
    assert [line["code"] for line in lines if line["event"] == "call"] == ["CANCELLED"]
    assert [(call[0], call[1]) for call in told] == [(name, "CANCELLED")]


async def test_log_line_says_who_what_and_how_long_and_no_secret(rpc: Stack) -> None:
    with capture_logs() as lines:
        await rpc.payments.CreatePayment(create_request(), metadata=(*METADATA, ("x-request-id", "req-7")))
    [line] = lines
    assert line["method"] == "/kassa.v1.PaymentService/CreatePayment"
    assert (line["code"], line["reason"], line["request_id"]) == ("OK", None, "req-7")
    assert line["merchant_id"] == str(MERCHANT.merchant_id)
    assert line["duration_ms"] >= 0
    assert CARD not in str(line) and "sk_test" not in str(line) and "order-1001" not in str(line)


async def _code(call: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = await call.code()
    return code


async def test_a_busy_server_refuses_new_work_before_all_else_and_goes_on_with_reads(rpc: Stack) -> None:
    BUSY.append(KassaError(Reason.OVERLOADED, "Too much work is waiting."))
    seen = await refused(rpc.payments.CreatePayment(create_request()))
    assert (seen.code, seen.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert seen.detail(RetryInfo).retry_delay.seconds == 1
    assert rpc.use_cases["create"].calls == []
    rpc.use_cases["get"].answer = make_payment(merchant_id=MERCHANT.merchant_id)
    await rpc.payments.GetPayment(GET, metadata=METADATA)
    assert len(rpc.use_cases["get"].calls) == 1
