"""The same journey over gRPC: the Python client, the generated stubs, and `buf curl` by reflection."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import kassa
import pytest
from google.rpc import error_details_pb2, status_pb2
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1 import payment_service_pb2_grpc as pb_grpc

from tests.acceptance.shop import DECLINED, THREE_D_SECURE, VISA, Shop, order, wait_until
from tests.acceptance.stacks import Platform

CARD = {"number": VISA, "exp_month": 12, "exp_year": 2030, "cvc": "123"}


def test_the_python_client_takes_captures_and_refunds(platform: Platform, shop: Shop) -> None:
    with kassa.Client(platform.grpc_target, shop.api_key) as client:
        payment = client.payments.create(
            amount=1999, currency="USD", method="CREDIT_CARD", capture_method="MANUAL", card=CARD
        )
        assert client.payments.capture(payment.id, amount=1500).amount_captured == 1500
        assert client.payments.refund(payment.id, amount=500).amount == 500
        with pytest.raises(kassa.KassaError) as refused:
            client.payments.refund(payment.id, amount=1001)
        assert refused.value.reason == "REFUND_EXCEEDS_CAPTURED"
        assert [found.id for found in client.payments.list()] == [payment.id]


@dataclass(frozen=True)
class Stub:
    """The generated stub with a shop's key; each call has an idempotency key of its own unless one is given.

    A call that is refused for the moment, as where a webhook has the payment, is made again.
    """

    stub: Any
    api_key: str

    def __call__(self, method: str, request: Any, key: str | None = None) -> Any:
        metadata = (("authorization", f"Bearer {self.api_key}"), ("idempotency-key", key or str(uuid4())))

        def once() -> Any:
            try:
                return getattr(self.stub, method).with_call(request, metadata=metadata, timeout=30)
            except grpc.RpcError as error:
                if error.code() not in {grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED}:
                    raise
                return None

        answer, call = wait_until(once, bool)
        self.headers.clear()
        self.headers.update(call.initial_metadata())
        return answer

    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def stub(platform: Platform, shop: Shop) -> Iterator[Stub]:
    with grpc.insecure_channel(platform.grpc_target) as channel:
        yield Stub(pb_grpc.PaymentServiceStub(channel), shop.api_key)


def request(number: str = VISA, **changes: Any) -> pb.CreatePaymentRequest:
    card = pb.Card(**CARD | {"number": number})
    fields = {"amount": 1999, "currency": "USD", "method": pb.Payment.CREDIT_CARD, "card": card}
    return pb.CreatePaymentRequest(**{name: value for name, value in (fields | changes).items() if value is not None})


def acted(shop: Shop, payment: Any) -> None:
    shop.act({"next_action": {"redirect_url": payment.next_action.redirect_url}})


def test_a_payment_is_taken_and_its_key_replays(stub: Stub) -> None:
    first = stub("CreatePayment", request(), "order-1")
    assert first.state == pb.Payment.COMPLETED
    assert "idempotent-replayed" not in stub.headers
    assert stub("CreatePayment", request(), "order-1") == first
    assert stub.headers["idempotent-replayed"] == "true"


def test_a_decline_is_no_error(stub: Stub) -> None:
    declined = stub("CreatePayment", request(DECLINED))
    assert declined.state == pb.Payment.FAILED
    assert declined.failure.code == pb.Failure.CARD_DECLINED


def test_a_held_payment_is_captured_in_part_and_refunded_no_further(stub: Stub) -> None:
    held = stub("CreatePayment", request(capture_method=pb.Payment.MANUAL))
    assert held.state == pb.Payment.AUTHORIZED
    captured = stub("CapturePayment", pb.CapturePaymentRequest(payment_id=held.id, amount=1500))
    assert (captured.state, captured.amount_captured) == (pb.Payment.COMPLETED, 1500)
    for amount in (500, 700):
        assert stub("RefundPayment", pb.RefundPaymentRequest(payment_id=held.id, amount=amount)).amount == amount
    with pytest.raises(grpc.RpcError) as refused:
        stub("RefundPayment", pb.RefundPaymentRequest(payment_id=held.id, amount=301))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    kinds = stub("ListTransactions", pb.ListTransactionsRequest(payment_id=held.id)).transactions
    assert [one.type for one in kinds] == [
        pb.Transaction.AUTHORIZATION,
        pb.Transaction.CAPTURE,
        pb.Transaction.REFUND,
        pb.Transaction.REFUND,
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"number": THREE_D_SECURE},
        {"method": pb.Payment.DIGITAL_WALLET, "card": None, "wallet": pb.Wallet()},
    ],
    ids=["3-D Secure", "PayPal"],
)
def test_a_payment_that_waits_for_its_customer_goes_on_after_confirm(
    stub: Stub, shop: Shop, changes: dict[str, Any]
) -> None:
    urls = {"return_url": "https://shop.example/done", "cancel_url": "https://shop.example/cancelled"}
    waiting = stub("CreatePayment", request(**urls, **changes))
    assert waiting.state == pb.Payment.PENDING
    acted(shop, waiting)
    confirmed = stub("ConfirmPayment", pb.ConfirmPaymentRequest(payment_id=waiting.id))
    assert (confirmed.state, confirmed.amount_captured) == (pb.Payment.COMPLETED, 1999)


@pytest.mark.parametrize(
    ("changes", "metadata", "status", "reason"),
    [
        ({"amount": 0}, {}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        ({}, {"idempotency-key": ""}, grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_MISSING"),
        ({}, {"authorization": ""}, grpc.StatusCode.UNAUTHENTICATED, "AUTHENTICATION_REQUIRED"),
        ({}, {"authorization": "Bearer sk_test_x"}, grpc.StatusCode.UNAUTHENTICATED, "API_KEY_INVALID"),
    ],
)
def test_errors_carry_reason_and_field(
    platform: Platform,
    shop: Shop,
    changes: dict[str, int],
    metadata: dict[str, str],
    status: grpc.StatusCode,
    reason: str,
) -> None:

    sent = {"authorization": f"Bearer {shop.api_key}", "idempotency-key": str(uuid4())} | metadata
    fields = {"amount": 1999, "currency": "USD", "method": pb.Payment.CREDIT_CARD, "card": pb.Card(**CARD)} | changes
    with grpc.insecure_channel(platform.grpc_target) as channel, pytest.raises(grpc.RpcError) as refused:
        pb_grpc.PaymentServiceStub(channel).CreatePayment(
            pb.CreatePaymentRequest(**fields), metadata=[(k, v) for k, v in sent.items() if v]
        )
    assert refused.value.code() is status
    details = {item.key: item.value for item in refused.value.trailing_metadata()}["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    rich = status_pb2.Status.FromString(details)
    assert any(one.Unpack(info) for one in rich.details if one.Is(info.DESCRIPTOR))
    assert (info.reason, info.domain) == (reason, "kassa")


def test_buf_curl_finds_the_contract_by_reflection(platform: Platform, shop: Shop) -> None:
    request = order() | {"customer": {"id": "cus_1"}}
    command = [
        str(Path(sys.executable).with_name("buf")), "curl", "--protocol", "grpc", "--http2-prior-knowledge",
        "--header", f"authorization: Bearer {shop.api_key}", "--header", f"idempotency-key: {uuid4()}",
        "--data", json.dumps(request), f"http://{platform.grpc_target}/kassa.v1.PaymentService/CreatePayment",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "COMPLETED"
