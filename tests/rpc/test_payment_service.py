"""PaymentService over a real channel: what reaches the use cases, and what comes back."""

from typing import Any
from uuid import UUID

import grpc
import pytest
from kassa.v1 import payment_service_pb2 as pb

from server.domain.card import Card
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.ids import Prefix, render_id
from server.domain.payment import (
    FraudDecision,
    FraudOutcome,
    Payment,
    RefundReason,
    State,
    TransactionState,
    TransactionType,
)
from server.storage.reads import PaymentFilter
from server.usecases.answers import Answer, Page
from tests.factories import make_payment, make_transaction
from tests.rpc.conftest import MERCHANT, METADATA, Stack, create_request, refused

PAYMENT_ID = UUID("01995b1c-7a3e-7cc3-98c4-dc0c0c07398f")  # fixed: it is part of test ids
ID = render_id(Prefix.PAYMENT, PAYMENT_ID)
MOVING = ["CreatePayment", "ConfirmPayment", "CapturePayment", "CancelPayment", "RefundPayment"]


def failed(code: DeclineCode) -> Payment:
    """A payment that failed for this reason."""
    return make_payment(state=State.FAILED, failure=Failure(code, "No.", Advice.DO_NOT_RETRY, "do_not_honor"))


async def headers(call: Any) -> dict[str, Any]:
    """The initial metadata of a call that succeeds."""
    initial = dict(await call.initial_metadata())
    await call
    return initial


async def test_create_hands_over_caller_key_and_command(rpc: Stack) -> None:
    await rpc.payments.CreatePayment(create_request(), metadata=METADATA)
    [(caller, key, command)] = rpc.use_cases["create"].calls
    assert (caller, key) == (MERCHANT, "order-1001")
    assert command.instrument == Card("4242424242424242", 12, 2035, "123", "Ada Byron")


async def test_a_payment_is_shown_whole(rpc: Stack) -> None:
    decision = FraudDecision(FraudOutcome.BLOCK, 900, ("rule_a", "rule_b"), ("shadow",), "abc", {"amount": 1})
    failure = Failure(DeclineCode.FRAUD_BLOCKED, "Blocked.", Advice.TRY_ANOTHER_METHOD)
    payment = make_payment(
        merchant_id=MERCHANT.merchant_id, state=State.FAILED, fraud=decision, failure=failure, amount_disputed=3
    )
    rpc.use_cases["get"].answer = payment
    shown = await rpc.payments.GetPayment(pb.GetPaymentRequest(payment_id=ID), metadata=METADATA)
    assert shown.id == render_id(Prefix.PAYMENT, payment.id)
    assert shown.merchant_id == render_id(Prefix.MERCHANT, MERCHANT.merchant_id)
    assert (shown.state, shown.amount, shown.currency, shown.amount_disputed) == (pb.Payment.FAILED, 1999, "USD", 3)
    assert shown.card == pb.CardSummary(brand="visa", last4="4242", exp_month=12, exp_year=2030)
    assert shown.fraud == pb.FraudDecision(
        score=0.9, outcome=pb.FraudDecision.BLOCK, rules=["rule_a", "rule_b"], ruleset="abc"
    )
    assert shown.failure == pb.Failure(
        code=pb.Failure.FRAUD_BLOCKED, message="Blocked.", advice=pb.Failure.TRY_ANOTHER_METHOD
    )
    assert shown.created_at.ToDatetime(payment.created_at.tzinfo) == payment.created_at
    assert not shown.HasField("next_action") and shown.test_mode
    assert dict(shown.metadata) == {"order": "1001"}


@pytest.mark.parametrize(("state", "shown"), [(State.PENDING, True), (State.COMPLETED, False)])
async def test_next_action_is_shown_while_the_payment_waits(rpc: Stack, state: State, shown: bool) -> None:
    rpc.use_cases["get"].answer = make_payment(state=state, redirect_url="https://bank.example/3ds")
    payment = await rpc.payments.GetPayment(pb.GetPaymentRequest(payment_id=ID), metadata=METADATA)
    assert payment.HasField("next_action") is shown
    if shown:
        assert payment.next_action.type == pb.NextAction.REDIRECT
        assert payment.next_action.redirect_url == "https://bank.example/3ds"


OUTCOMES = [
    (make_payment(state=State.COMPLETED), "201", None),
    (make_payment(state=State.PENDING), "201", None),
    (make_payment(state=State.IN_REVIEW), "201", None),
    (make_payment(state=State.PROCESSING), "202", "202"),
    (failed(DeclineCode.CARD_DECLINED), "402", "402"),
    (failed(DeclineCode.FRAUD_BLOCKED), "402", "402"),
    (failed(DeclineCode.PROCESSOR_UNAVAILABLE), "503", "503"),
]


@pytest.mark.parametrize(("payment", "create", "confirm"), OUTCOMES)
@pytest.mark.parametrize("replayed", [False, True])
async def test_http_status_tells_whether_there_is_money_also_on_replay(
    rpc: Stack, payment: Payment, create: str, confirm: str | None, replayed: bool
) -> None:
    rpc.use_cases["create"].answer = rpc.use_cases["confirm"].answer = Answer(payment, replayed)
    created = await headers(rpc.payments.CreatePayment(create_request(), metadata=METADATA))
    request = pb.ConfirmPaymentRequest(payment_id=ID)
    confirmed = await headers(rpc.payments.ConfirmPayment(request, metadata=METADATA))
    assert (created["x-http-status"], confirmed.get("x-http-status")) == (create, confirm)
    assert created.get("idempotent-replayed") == confirmed.get("idempotent-replayed") == ("true" if replayed else None)


async def test_get_is_200_whatever_became_of_the_payment(rpc: Stack) -> None:
    rpc.use_cases["get"].answer = failed(DeclineCode.CARD_DECLINED)
    seen = await headers(rpc.payments.GetPayment(pb.GetPaymentRequest(payment_id=ID), metadata=METADATA))
    assert "x-http-status" not in seen and len(seen["x-request-id"]) == 32


@pytest.mark.parametrize("method", MOVING)
async def test_what_moves_money_needs_an_idempotency_key(rpc: Stack, method: str) -> None:
    seen = await refused(_call(rpc, method, METADATA[:1]))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_MISSING")
    assert all(use_case.calls == [] for use_case in rpc.use_cases.values())


@pytest.mark.parametrize("key", ["a" * 256, "two words"])
@pytest.mark.parametrize("method", MOVING)
async def test_an_idempotency_key_is_visible_ascii(rpc: Stack, method: str, key: str) -> None:
    seen = await refused(_call(rpc, method, (METADATA[0], ("idempotency-key", key))))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_INVALID")


@pytest.mark.parametrize(
    "payment_id", ["", "pay_", "mer_" + ID[4:], ID + "x", "pay_" + "8" * 26, "§" * 30, "x" * 9_999]
)
async def test_an_id_of_something_else_is_a_wrong_field(rpc: Stack, payment_id: str) -> None:
    call = rpc.payments.GetPayment(pb.GetPaymentRequest(payment_id=payment_id), metadata=METADATA)
    seen = await refused(call)
    assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, "payment_id")


async def test_capture_cancel_and_confirm_name_their_payment(rpc: Stack) -> None:
    await rpc.payments.CapturePayment(pb.CapturePaymentRequest(payment_id=ID), metadata=METADATA)
    await rpc.payments.CapturePayment(pb.CapturePaymentRequest(payment_id=ID, amount=5), metadata=METADATA)
    await rpc.payments.CancelPayment(pb.CancelPaymentRequest(payment_id=ID, reason="sold out"), metadata=METADATA)
    await rpc.payments.ConfirmPayment(pb.ConfirmPaymentRequest(payment_id=ID), metadata=METADATA)
    key = "order-1001"
    assert rpc.use_cases["capture"].calls == [(MERCHANT, key, PAYMENT_ID, None), (MERCHANT, key, PAYMENT_ID, 5)]
    assert rpc.use_cases["cancel"].calls == [(MERCHANT, key, PAYMENT_ID, "sold out")]
    assert rpc.use_cases["confirm"].calls == [(MERCHANT, key, PAYMENT_ID)]


async def test_a_refund_is_the_transaction_under_its_own_name(rpc: Stack) -> None:
    payment = make_payment(id=PAYMENT_ID)
    transaction = make_transaction(
        payment, type=TransactionType.REFUND, state=TransactionState.COMPLETED, amount=500, reason="DUPLICATE"
    )
    rpc.use_cases["refund"].answer = Answer(transaction, replayed=True)
    request = pb.RefundPaymentRequest(payment_id=ID, amount=500, reason=pb.Refund.DUPLICATE)
    call = rpc.payments.RefundPayment(request, metadata=METADATA)
    assert (await headers(call))["idempotent-replayed"] == "true"
    refund = await call
    assert rpc.use_cases["refund"].calls == [(MERCHANT, "order-1001", PAYMENT_ID, 500, RefundReason.DUPLICATE)]
    assert (refund.id, refund.payment_id) == (render_id(Prefix.REFUND, transaction.id), ID)
    assert (refund.amount, refund.state, refund.reason) == (500, pb.Refund.COMPLETED, pb.Refund.DUPLICATE)


async def test_a_list_hands_over_filter_and_page_and_shows_the_next(rpc: Stack) -> None:
    rpc.use_cases["list"].answer = Page((make_payment(), make_payment()), "more")
    request = pb.ListPaymentsRequest(page_size=2, page_token="token", state=pb.Payment.COMPLETED)
    page = await rpc.payments.ListPayments(request, metadata=METADATA)
    assert rpc.use_cases["list"].calls == [(MERCHANT, PaymentFilter(state=State.COMPLETED), 2, "token")]
    assert (len(page.payments), page.next_page_token) == (2, "more")


async def test_transactions_are_listed(rpc: Stack) -> None:
    transaction = make_transaction(make_payment(id=PAYMENT_ID), processor_transaction_id="ch_1")
    rpc.use_cases["list_transactions"].answer = Page((transaction,), "")
    page = await rpc.payments.ListTransactions(pb.ListTransactionsRequest(payment_id=ID), metadata=METADATA)
    assert rpc.use_cases["list_transactions"].calls == [(MERCHANT, PAYMENT_ID, 20, "")]
    [shown] = page.transactions
    assert (shown.id, shown.payment_id) == (render_id(Prefix.TRANSACTION, transaction.id), ID)
    assert (shown.type, shown.state) == (pb.Transaction.AUTHORIZATION, pb.Transaction.PENDING)
    assert (shown.amount, shown.processor_transaction_id) == (1999, "ch_1")


async def test_a_wrong_card_reaches_no_use_case(rpc: Stack) -> None:
    card = pb.Card(number="4242424242424241", exp_month=12, exp_year=2035)
    seen = await refused(rpc.payments.CreatePayment(create_request(card=card), metadata=METADATA))
    assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, "card.number")
    assert "4242424242424241" not in f"{seen}"
    assert rpc.use_cases["create"].calls == []


def _call(rpc: Stack, method: str, metadata: tuple[tuple[str, str], ...]) -> Any:
    request = create_request() if method == "CreatePayment" else getattr(pb, f"{method}Request")(payment_id=ID)
    return getattr(rpc.payments, method)(request, metadata=metadata)
