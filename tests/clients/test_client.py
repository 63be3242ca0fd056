"""The client for threads, on a fake channel: what it sends, what it repeats, what it raises."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc_testing
import kassa
import pytest
from kassa.channel import use_tls
from kassa.client import Payments, Sender
from kassa.requests import create_request
from kassa.retries import Retries
from kassa.v1 import payment_service_pb2 as pb

from tests.clients.details import details

SERVICE = pb.DESCRIPTOR.services_by_name["PaymentService"]
CARD: Any = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123"}


class Gateway:
    """Plays the gateway behind a fake channel, for one caller that runs beside the test."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._channel: Any = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
        self._pool = pool
        self.slept: list[float] = []
        self.payments = Payments(self._channel, Sender("sk_test_1", 30, Retries(3), self.slept.append))

    def calling(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        return self._pool.submit(call, *args, **kwargs)

    def take(self, method: str) -> tuple[dict[str, str], Any, Any]:
        """Waits for a call of the method: its metadata, its request, and the handle to answer it by."""
        metadata, request, rpc = self._channel.take_unary_unary(SERVICE.methods_by_name[method])
        rpc.send_initial_metadata((("x-request-id", "req-0"),))
        return dict(metadata), request, rpc


def answer(rpc: Any, response: Any) -> None:
    rpc.terminate(response, (), grpc.StatusCode.OK, "")


def refuse(rpc: Any, status: grpc.StatusCode, *trailing: tuple[str, bytes], message: str = "No.") -> None:
    rpc.terminate(None, trailing, status, message)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with ThreadPoolExecutor(1) as pool:
        yield Gateway(pool)


def test_create_sends_the_payment_and_the_keys(gateway: Gateway) -> None:
    calling = gateway.calling(
        gateway.payments.create,
        amount=1999,
        currency="USD",
        method="CREDIT_CARD",
        capture_method="MANUAL",
        card=CARD,
        metadata={"order": "1001"},
    )
    metadata, request, rpc = gateway.take("CreatePayment")
    answer(rpc, pb.Payment(id="pay_1", state=pb.Payment.AUTHORIZED))
    assert calling.result(10) == kassa.Payment(id="pay_1", state=kassa.Payment.AUTHORIZED)
    assert metadata["authorization"] == "Bearer sk_test_1"
    assert re.fullmatch(r"[\x21-\x7e]{1,255}", metadata["idempotency-key"])
    assert request == pb.CreatePaymentRequest(
        amount=1999,
        currency="USD",
        method=pb.Payment.CREDIT_CARD,
        capture_method=pb.Payment.MANUAL,
        card=pb.Card(**CARD),
        metadata={"order": "1001"},
    )


@pytest.mark.parametrize(
    ("method", "call", "request_"),
    [
        ("GetPayment", lambda payments: payments.get("p"), pb.GetPaymentRequest(payment_id="p")),
        ("ConfirmPayment", lambda payments: payments.confirm("p"), pb.ConfirmPaymentRequest(payment_id="p")),
        ("CapturePayment", lambda payments: payments.capture("p"), pb.CapturePaymentRequest(payment_id="p")),
        (
            "CapturePayment",
            lambda payments: payments.capture("p", amount=0),
            pb.CapturePaymentRequest(payment_id="p", amount=0),
        ),
        (
            "CancelPayment",
            lambda payments: payments.cancel("p", reason="sold out"),
            pb.CancelPaymentRequest(payment_id="p", reason="sold out"),
        ),
        ("RefundPayment", lambda payments: payments.refund("p"), pb.RefundPaymentRequest(payment_id="p")),
        (
            "RefundPayment",
            lambda payments: payments.refund("p", amount=5, reason="DUPLICATE"),
            pb.RefundPaymentRequest(payment_id="p", amount=5, reason=pb.Refund.DUPLICATE),
        ),
    ],
)
def test_the_other_calls_send_what_they_are_told(gateway: Gateway, method: str, call: Any, request_: Any) -> None:
    calling = gateway.calling(call, gateway.payments)
    metadata, request, rpc = gateway.take(method)
    answer(rpc, pb.Refund() if method == "RefundPayment" else pb.Payment())
    calling.result(10)
    assert request == request_
    assert ("idempotency-key" in metadata) == (method != "GetPayment")


def test_a_key_of_ones_own_is_sent(gateway: Gateway) -> None:
    calling = gateway.calling(gateway.payments.capture, "p", idempotency_key="order-1001")
    metadata, _, rpc = gateway.take("CapturePayment")
    answer(rpc, pb.Payment())
    calling.result(10)
    assert metadata["idempotency-key"] == "order-1001"


@pytest.mark.parametrize("status", ["UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
def test_what_may_be_repeated_is_repeated_with_the_same_key(gateway: Gateway, status: str) -> None:
    calling = gateway.calling(gateway.payments.refund, "p", amount=5)
    keys = []
    for _ in range(2):
        metadata, _, rpc = gateway.take("RefundPayment")
        refuse(rpc, grpc.StatusCode[status])
        keys.append(metadata["idempotency-key"])
    metadata, _, rpc = gateway.take("RefundPayment")
    answer(rpc, pb.Refund(id="re_1"))
    assert calling.result(10).id == "re_1"
    assert keys == [metadata["idempotency-key"]] * 2
    assert len(gateway.slept) == 2 and all(0 < seconds <= 0.2 for seconds in gateway.slept)


def test_it_waits_as_long_as_the_gateway_asks(gateway: Gateway) -> None:
    calling = gateway.calling(gateway.payments.capture, "p")
    _, _, rpc = gateway.take("CapturePayment")
    refuse(rpc, grpc.StatusCode.ABORTED, details("REQUEST_IN_FLIGHT", retry_after=1.5))
    _, _, rpc = gateway.take("CapturePayment")
    answer(rpc, pb.Payment())
    calling.result(10)
    assert len(gateway.slept) == 1 and 1.5 < gateway.slept[0] <= 1.6


def test_what_a_flooded_server_lets_go_of_is_repeated(gateway: Gateway) -> None:
    """grpc ends it without a word of the gateway's; over REST Envoy says the same."""
    calling = gateway.calling(gateway.payments.capture, "p")
    for _ in range(3):
        _, _, rpc = gateway.take("CapturePayment")
        rpc.send_initial_metadata(())
        rpc.terminate(None, (), grpc.StatusCode.CANCELLED, "")
    error = calling.exception(10)
    assert isinstance(error, kassa.KassaError)
    assert (error.reason, error.status) == ("SERVICE_UNAVAILABLE", grpc.StatusCode.CANCELLED)
    assert "may be repeated" in error.message
    assert error.repeatable
    # Whoever was let go of together does not come back together.
    assert len(gateway.slept) == 2 and all(1.0 < seconds <= 1.2 for seconds in gateway.slept)


def test_a_client_that_is_closed_repeats_nothing(gateway: Gateway) -> None:
    calling = gateway.calling(gateway.payments.capture, "p")
    _, _, rpc = gateway.take("CapturePayment")
    rpc.send_initial_metadata(())
    rpc.terminate(None, (), grpc.StatusCode.CANCELLED, "Channel closed!")
    error = calling.exception(10)
    assert isinstance(error, kassa.KassaError)
    assert not error.repeatable and gateway.slept == []


def test_it_gives_up_and_tells_the_key(gateway: Gateway) -> None:
    calling = gateway.calling(gateway.payments.capture, "p")
    for _ in range(3):
        metadata, _, rpc = gateway.take("CapturePayment")
        refuse(rpc, grpc.StatusCode.UNAVAILABLE, message="connection refused")
    error = calling.exception(10)
    assert isinstance(error, kassa.KassaError)
    assert (error.reason, error.message, error.field) == ("UNAVAILABLE", "connection refused", None)
    assert (error.repeatable, error.idempotency_key) == (True, metadata["idempotency-key"])


def test_a_refusal_is_raised_at_once_with_all_that_is_known(gateway: Gateway) -> None:
    calling = gateway.calling(gateway.payments.refund, "p", amount=9)
    _, _, rpc = gateway.take("RefundPayment")
    trailing = details("REFUND_EXCEEDS_CAPTURED", field="amount", refundable="5")
    refuse(rpc, grpc.StatusCode.FAILED_PRECONDITION, trailing, message="Only 5 can be refunded.")
    error = calling.exception(10)
    assert isinstance(error, kassa.KassaError)
    assert (error.reason, error.field, error.metadata) == ("REFUND_EXCEEDS_CAPTURED", "amount", {"refundable": "5"})
    assert (error.status, error.request_id) == (grpc.StatusCode.FAILED_PRECONDITION, "req-1")
    assert str(error) == "REFUND_EXCEEDS_CAPTURED: Only 5 can be refunded. (request req-1)"
    assert not error.repeatable and gateway.slept == []


def test_a_list_fetches_pages_as_needed(gateway: Gateway) -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)
    payments = gateway.payments.list(state="COMPLETED", created_after=since, page_size=2)
    first = gateway.calling(next, payments)
    _, request, rpc = gateway.take("ListPayments")
    assert (request.state, request.page_size, request.page_token) == (pb.Payment.COMPLETED, 2, "")
    assert request.created_after.ToDatetime(UTC) == since
    answer(rpc, pb.ListPaymentsResponse(payments=[pb.Payment(id="a"), pb.Payment(id="b")], next_page_token="t"))
    assert [first.result(10).id, next(payments).id] == ["a", "b"]
    rest = gateway.calling(list, payments)
    _, request, rpc = gateway.take("ListPayments")
    assert (request.state, request.page_token) == (pb.Payment.COMPLETED, "t")
    answer(rpc, pb.ListPaymentsResponse(payments=[pb.Payment(id="c")]))
    assert [payment.id for payment in rest.result(10)] == ["c"]


def test_transactions_are_paged_too(gateway: Gateway) -> None:
    everything = gateway.calling(lambda: list(gateway.payments.transactions("p")))
    for token, following in (("", "t"), ("t", "")):
        _, request, rpc = gateway.take("ListTransactions")
        assert (request.payment_id, request.page_token) == ("p", token)
        answer(rpc, pb.ListTransactionsResponse(transactions=[pb.Transaction(id="x")], next_page_token=following))
    assert len(everything.result(10)) == 2


def test_a_timeline_is_paged_too(gateway: Gateway) -> None:
    everything = gateway.calling(lambda: list(gateway.payments.timeline("p")))
    for token, following in (("", "t"), ("t", "")):
        _, request, rpc = gateway.take("GetPaymentTimeline")
        assert (request.payment_id, request.page_token) == ("p", token)
        event = pb.TimelineEntry(event=pb.TimelineEntry.Event(type="payment.completed"))
        answer(rpc, pb.PaymentTimeline(entries=[event], next_page_token=following))
    assert [entry.WhichOneof("entry") for entry in everything.result(10)] == ["event", "event"]


def test_names_outside_the_contract_are_refused_before_anything_is_sent(gateway: Gateway) -> None:
    wrong: Any = {"method": "CHEQUE"}
    with pytest.raises(ValueError, match="CHEQUE"):
        gateway.payments.create(amount=1, currency="USD", **wrong)
    with pytest.raises(ValueError, match="created_after must have a time zone"):
        next(gateway.payments.list(created_after=datetime(2026, 1, 2)))


def test_two_instruments_are_refused() -> None:
    """Of those protobuf would keep the last."""
    with pytest.raises(ValueError, match="give one instrument, not card and processor_token"):
        create_request(
            {"amount": 1, "currency": "USD", "method": "CREDIT_CARD", "card": CARD, "processor_token": "pm_1"}
        )


@pytest.mark.parametrize("key", ["é", "", "order 1", "k" * 256])
def test_an_idempotency_key_that_no_header_carries_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="idempotency_key must be 1 to 255 visible ASCII characters"):
        Sender("sk_test_1", 30, Retries(1)).write(None, None, key)  # type: ignore[arg-type]  # before anything is called


@pytest.mark.parametrize("client", [kassa.Client, kassa.AsyncClient])
@pytest.mark.parametrize("api_key", ["sk_test_1\n", ""])
async def test_an_api_key_that_is_none_is_refused_at_once(client: Any, api_key: str) -> None:
    with pytest.raises(ValueError, match="api_key"):
        client("127.0.0.1:1", api_key)


@pytest.mark.parametrize(
    ("target", "tls", "encrypted"),
    [
        ("localhost:50051", None, False),
        ("127.0.0.1:50051", None, False),
        ("[::1]:50051", None, False),
        ("localhost.example.com:443", None, True),
        ("127.example.com:443", None, True),
        ("kassa.example.com:443", None, True),
        ("server:50051", False, False),
        ("localhost:50051", True, True),
    ],
)
def test_a_key_travels_in_plain_only_on_this_machine_or_when_told(
    target: str, tls: bool | None, encrypted: bool
) -> None:
    assert use_tls(target, tls) is encrypted


def test_no_secret_is_in_a_clients_repr() -> None:
    with kassa.Client("127.0.0.1:1", "sk_test_secret") as client:
        assert "secret" not in repr(client) + repr(client.payments) + repr(vars(client.payments))
