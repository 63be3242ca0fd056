"""The same journey over gRPC: the Python client, the generated stubs, and `buf curl` by reflection."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import grpc
import kassa
import pytest
from google.rpc import error_details_pb2, status_pb2
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1 import payment_service_pb2_grpc as pb_grpc

from tests.acceptance.shop import Shop, order
from tests.acceptance.stacks import Platform

CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123"}


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


def test_the_generated_stubs_work_alone(platform: Platform, shop: Shop) -> None:
    channel = grpc.insecure_channel(platform.grpc_target)
    stub = pb_grpc.PaymentServiceStub(channel)
    request = pb.CreatePaymentRequest(amount=1999, currency="USD", method=pb.Payment.CREDIT_CARD, card=pb.Card(**CARD))
    metadata = (("authorization", f"Bearer {shop.api_key}"), ("idempotency-key", str(uuid4())))
    payment = stub.CreatePayment(request, metadata=metadata)
    assert payment.state == pb.Payment.COMPLETED
    _, call = stub.CreatePayment.with_call(request, metadata=metadata)
    assert dict(call.initial_metadata())["idempotent-replayed"] == "true"
    declined = pb.CreatePaymentRequest()
    declined.CopyFrom(request)
    declined.card.number = "4000000000000002"
    answer = stub.CreatePayment(declined, metadata=(metadata[0], ("idempotency-key", str(uuid4()))))
    assert answer.state == pb.Payment.FAILED  # a decline is no error: gRPC answers OK
    channel.close()


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
