"""The client for threads; applications use it through `kassa.Client`."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar, Unpack, cast
from uuid import uuid4

import grpc

from kassa.channel import open_channel
from kassa.disputes import Disputes
from kassa.errors import read_error
from kassa.fraud import Fraud
from kassa.headers import authorization, with_key
from kassa.ledger import Ledger
from kassa.requests import (
    AttentionFilter,
    NewPayment,
    PaymentFilter,
    RefundReason,
    attention_request,
    create_request,
    list_request,
    refund_request,
)
from kassa.retries import Retries
from kassa.v1 import attention_service_pb2
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1.attention_service_pb2_grpc import AttentionServiceStub
from kassa.v1.payment_service_pb2_grpc import PaymentServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class Client:
    """A connection to the gateway. It may be shared by threads; close it, or use it as a context manager.

    Merchants are administered through the stubs in `kassa.v1.merchant_service_pb2_grpc`.

    Args:
        target: Host and port.
        api_key: The merchant's secret key, `sk_test_…` or `sk_live_…`.
        timeout: Seconds that one attempt may take. It should be longer than the processor's, 20 seconds.
        attempts: How often a call that got no answer is sent in all, with the same idempotency key.
        tls: Whether to encrypt; where it is None, unless the gateway is on this machine. The trusted roots are gRPC's,
            or those in the file that the environment's GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names.

    Raises:
        ValueError: `api_key` cannot be a key, such as one that was read with its line break.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        attempts: int = 3,
        tls: bool | None = None,
    ) -> None:
        sender = Sender(api_key, timeout, Retries(attempts))
        self._channel = open_channel(target, tls)
        self.payments = Payments(self._channel, sender)
        self.attention = Attention(self._channel, sender)
        self.disputes = Disputes(self._channel, sender)
        self.fraud = Fraud(self._channel, sender)
        self.ledger = Ledger(self._channel, sender)

    def close(self) -> None:
        """Ends the connection; calls under way are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Sender:
    """Sends calls with the key, and repeats what may be repeated."""

    def __init__(
        self, api_key: str, timeout: float, retries: Retries, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._authorization = authorization(api_key)
        self._timeout = timeout
        self._retries = retries
        self._sleep = sleep

    def read(self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
        """Sends a call that needs no key: it changes nothing, or may be repeated as it is."""
        return self._send(method, request, None)

    def write(
        self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request, key: str | None
    ) -> Response:
        """Sends a call that moves money, under the given key or a new one."""
        return self._send(method, request, str(uuid4()) if key is None else key)

    def _send(
        self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request, key: str | None
    ) -> Response:
        metadata = with_key(self._authorization, key)
        attempt = 1
        while True:
            try:
                return method(request, timeout=self._timeout, metadata=metadata)
            except grpc.RpcError as failed:
                # A failed call is raised as the call itself: https://grpc.github.io/grpc/python/grpc.html#grpc.RpcError
                error = read_error(cast(grpc.Call, failed), key)
                delay = self._retries.delay(error, attempt)
                if delay is None:
                    raise error from failed
            self._sleep(delay)
            attempt += 1


class Payments:
    """The payments of the merchant whose key it is.

    Every method raises `KassaError` where the call is refused or got no answer. Those that move money make an
    idempotency key by themselves; give one of your own, such as the order's number, to be safe across a crash of
    your program too.
    """

    def __init__(self, channel: grpc.Channel, sender: Sender) -> None:
        self._stub = PaymentServiceStub(channel)
        self._sender = sender

    def create(self, *, idempotency_key: str | None = None, **payment: Unpack[NewPayment]) -> pb.Payment:
        """Makes a payment and returns it as it then stands: look at `state`, a decline is `FAILED`."""
        return self._sender.write(self._stub.CreatePayment, create_request(payment), idempotency_key)

    def get(self, payment_id: str) -> pb.Payment:
        """Returns one payment."""
        return self._sender.read(self._stub.GetPayment, pb.GetPaymentRequest(payment_id=payment_id))

    def list(self, **criteria: Unpack[PaymentFilter]) -> Iterator[pb.Payment]:
        """Iterates over the payments, newest first; pages are fetched as needed."""
        request = list_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListPayments, request)
            yield from page.payments
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def confirm(self, payment_id: str, *, idempotency_key: str | None = None) -> pb.Payment:
        """Goes on with a pending payment after the customer has come back."""
        request = pb.ConfirmPaymentRequest(payment_id=payment_id)
        return self._sender.write(self._stub.ConfirmPayment, request, idempotency_key)

    def capture(self, payment_id: str, *, amount: int | None = None, idempotency_key: str | None = None) -> pb.Payment:
        """Takes held funds; `amount` is in minor units, and all that is held where it is None."""
        request = pb.CapturePaymentRequest(payment_id=payment_id, amount=amount)
        return self._sender.write(self._stub.CapturePayment, request, idempotency_key)

    def cancel(self, payment_id: str, *, reason: str = "", idempotency_key: str | None = None) -> pb.Payment:
        """Releases a payment that has not been captured."""
        request = pb.CancelPaymentRequest(payment_id=payment_id, reason=reason)
        return self._sender.write(self._stub.CancelPayment, request, idempotency_key)

    def refund(
        self,
        payment_id: str,
        *,
        amount: int | None = None,
        reason: RefundReason | None = None,
        idempotency_key: str | None = None,
    ) -> pb.Refund:
        """Returns captured money; `amount` is in minor units, and all that is left where it is None."""
        request = refund_request(payment_id, amount, reason)
        return self._sender.write(self._stub.RefundPayment, request, idempotency_key)

    def transactions(self, payment_id: str) -> Iterator[pb.Transaction]:
        """Iterates over everything that was asked of a processor for a payment, oldest first."""
        request = pb.ListTransactionsRequest(payment_id=payment_id)
        while True:
            page = self._sender.read(self._stub.ListTransactions, request)
            yield from page.transactions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def timeline(self, payment_id: str) -> Iterator[pb.TimelineEntry]:
        """Iterates over all that is known of a payment, oldest first: requests, calls to the processor, bookings, …

        `entry.WhichOneof("entry")` says what an entry tells of.
        """
        request = pb.GetPaymentTimelineRequest(payment_id=payment_id)
        while True:
            page = self._sender.read(self._stub.GetPaymentTimeline, request)
            yield from page.entries
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


class Attention:
    """What people must look at: the merchant's own items, or with a platform key those of all merchants.

    Every method raises `KassaError` where the call is refused or got no answer.
    """

    def __init__(self, channel: grpc.Channel, sender: Sender) -> None:
        self._stub = AttentionServiceStub(channel)
        self._sender = sender

    def list(self, **criteria: Unpack[AttentionFilter]) -> Iterator[attention_service_pb2.AttentionItem]:
        """Iterates over open items, newest first; pages are fetched as needed."""
        request = attention_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListAttention, request)
            yield from page.items
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def resolve(self, attention_id: str, *, note: str, resolved_by: str) -> attention_service_pb2.AttentionItem:
        """Closes an item: what was done about it, and who looked. One that is closed already stays as it is."""
        request = attention_service_pb2.ResolveAttentionRequest(
            attention_id=attention_id, note=note, resolved_by=resolved_by
        )
        return self._sender.read(self._stub.ResolveAttention, request)
