"""PaymentService: parse, use case, render. Served by `rpc.server`."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1 import payment_service_pb2_grpc as pb_grpc

from server.clock import utc_now
from server.domain.decline import DeclineCode
from server.domain.ids import Prefix, parse_id
from server.domain.payment import Payment, RefundReason, State, Transaction
from server.domain.timeline import TimelineEntry
from server.rpc import fields, parse
from server.rpc.call import Call, current_call
from server.rpc.render import render_payment, render_refund, render_transaction
from server.rpc.render_timeline import render_entry
from server.storage.reads import PaymentFilter
from server.usecases.answers import Answer, Caller, Page
from server.usecases.create_payment import CreatePaymentCommand

Context: TypeAlias = "ServicerContext[Any, Any]"


class Creates(Protocol):
    """`usecases.create_payment.CreatePayment`."""

    async def __call__(self, caller: Caller, key: str, command: CreatePaymentCommand) -> Answer[Payment]: ...


class Captures(Protocol):
    """`usecases.capture_payment.CapturePayment`."""

    async def __call__(self, caller: Caller, key: str, payment_id: UUID, amount: int | None) -> Answer[Payment]: ...


class Cancels(Protocol):
    """`usecases.cancel_payment.CancelPayment`."""

    async def __call__(self, caller: Caller, key: str, payment_id: UUID, reason: str) -> Answer[Payment]: ...


class Confirms(Protocol):
    """`usecases.confirm_payment.ConfirmPayment`."""

    async def __call__(self, caller: Caller, key: str, payment_id: UUID) -> Answer[Payment]: ...


class Refunds(Protocol):
    """`usecases.refund_payment.RefundPayment`."""

    async def __call__(
        self, caller: Caller, key: str, payment_id: UUID, amount: int | None, reason: RefundReason | None
    ) -> Answer[Transaction]: ...


class Gets(Protocol):
    """`usecases.read_payments.GetPayment`."""

    async def __call__(self, caller: Caller, payment_id: UUID) -> Payment: ...


class Lists(Protocol):
    """`usecases.read_payments.ListPayments`."""

    async def __call__(
        self, caller: Caller, wanted: PaymentFilter, page_size: int, page_token: str
    ) -> Page[Payment]: ...


class ListsTransactions(Protocol):
    """`usecases.read_payments.ListTransactions`."""

    async def __call__(
        self, caller: Caller, payment_id: UUID, page_size: int, page_token: str
    ) -> Page[Transaction]: ...


class GetsTimeline(Protocol):
    """`usecases.read_payments.GetTimeline`."""

    async def __call__(
        self, caller: Caller, payment_id: UUID, page_size: int, page_token: str
    ) -> Page[TimelineEntry]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentUseCases:
    """What the service calls; every one raises KassaError alone."""

    create: Creates
    capture: Captures
    cancel: Cancels
    confirm: Confirms
    refund: Refunds
    get: Gets
    list: Lists
    list_transactions: ListsTransactions
    timeline: GetsTimeline


class PaymentService(pb_grpc.PaymentServiceServicer):
    """See the contract.

    Args:
        supported_currencies: ISO 4217 codes that payments may use.
    """

    def __init__(self, use_cases: PaymentUseCases, supported_currencies: frozenset[str]) -> None:
        self._use_cases, self._supported = use_cases, supported_currencies

    async def CreatePayment(self, request: pb.CreatePaymentRequest, context: Context) -> pb.Payment:
        """Over REST 201, and 402, 503 or 202 where there is no money yet."""
        call = current_call()
        key, command = call.idempotency_key, parse.parse_create(request, self._supported, utc_now())
        answer = await self._use_cases.create(call.merchant, key, command)
        call.http_status = _http_status(answer.value, 201)
        return _payment(call, answer)

    async def ConfirmPayment(self, request: pb.ConfirmPaymentRequest, context: Context) -> pb.Payment:
        """Over REST 200, and 402, 503 or 202 where there is no money yet."""
        call = current_call()
        key, payment_id = call.idempotency_key, _payment_id(request)
        answer = await self._use_cases.confirm(call.merchant, key, payment_id)
        call.http_status = _http_status(answer.value, 200)
        return _payment(call, answer)

    async def CapturePayment(self, request: pb.CapturePaymentRequest, context: Context) -> pb.Payment:
        """Over REST 200."""
        call = current_call()
        key, payment_id, amount = call.idempotency_key, _payment_id(request), parse.parse_amount(request)
        return _payment(call, await self._use_cases.capture(call.merchant, key, payment_id, amount))

    async def CancelPayment(self, request: pb.CancelPaymentRequest, context: Context) -> pb.Payment:
        """Over REST 200."""
        call = current_call()
        key, payment_id, reason = call.idempotency_key, _payment_id(request), parse.parse_cancel_reason(request)
        return _payment(call, await self._use_cases.cancel(call.merchant, key, payment_id, reason))

    async def RefundPayment(self, request: pb.RefundPaymentRequest, context: Context) -> pb.Refund:
        """Over REST 200."""
        call = current_call()
        key, payment_id, amount = call.idempotency_key, _payment_id(request), parse.parse_amount(request)
        reason = parse.parse_refund_reason(request)
        answer = await self._use_cases.refund(call.merchant, key, payment_id, amount, reason)
        call.replayed = answer.replayed
        return render_refund(answer.value)

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Context) -> pb.Payment:
        """Over REST 200, whatever became of the payment."""
        return render_payment(await self._use_cases.get(current_call().merchant, _payment_id(request)))

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Context) -> pb.ListPaymentsResponse:
        """Over REST 200."""
        wanted, size = parse.parse_filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.list(current_call().merchant, wanted, size, request.page_token)
        payments = [render_payment(payment) for payment in page.items]
        return pb.ListPaymentsResponse(payments=payments, next_page_token=page.next_page_token)

    async def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: Context
    ) -> pb.ListTransactionsResponse:
        """Over REST 200."""
        payment_id, size = _payment_id(request), fields.page_size(request.page_size)
        merchant = current_call().merchant
        page = await self._use_cases.list_transactions(merchant, payment_id, size, request.page_token)
        transactions = [render_transaction(transaction) for transaction in page.items]
        return pb.ListTransactionsResponse(transactions=transactions, next_page_token=page.next_page_token)

    async def GetPaymentTimeline(self, request: pb.GetPaymentTimelineRequest, context: Context) -> pb.PaymentTimeline:
        """Over REST 200."""
        payment_id, size = _payment_id(request), fields.page_size(request.page_size)
        page = await self._use_cases.timeline(current_call().merchant, payment_id, size, request.page_token)
        entries = [render_entry(entry) for entry in page.items]
        return pb.PaymentTimeline(entries=entries, next_page_token=page.next_page_token)


class _NamesPayment(Protocol):
    payment_id: str


def _payment_id(request: _NamesPayment) -> UUID:
    return parse_id(Prefix.PAYMENT, request.payment_id, "payment_id")


def _payment(call: Call, answer: Answer[Payment]) -> pb.Payment:
    call.replayed = answer.replayed
    return render_payment(answer.value)


def _http_status(payment: Payment, done: int) -> int:
    """Says what a client that looks at the status line alone must know: whether there is money."""
    if payment.state is State.PROCESSING:
        return 202
    if payment.state is not State.FAILED:
        return done
    unreachable = payment.failure is not None and payment.failure.code is DeclineCode.PROCESSOR_UNAVAILABLE
    return 503 if unreachable else 402
