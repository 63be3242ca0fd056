"""Idempotency keys behave as Stripe documents them, which is what recovery and its fence rely on."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from tests.sandbox.harness import Json, Running
from tests.sandbox.stripe_calls import card, pay, refused


def test_a_repeat_is_replayed_to_the_byte(sandbox: Running) -> None:
    first, again = pay(sandbox, key="k"), pay(sandbox, key="k")
    assert first.id == again.id
    one, two = (seen for seen in sandbox.seen if seen.method == "POST")
    assert one.response == two.response
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert sandbox.books()["totals"]["USD"] == {
        "payments": 1,
        "authorized": 2000,
        "captured": 2000,
        "refunded": 0,
        "disputed": 0,
        "held": 0,
        "fees": 88,
        "dispute_fees": 0,
    }


@pytest.mark.parametrize(
    "changes",
    [{"amount": 2001}, {"description": "other"}, {"metadata": {}}, {"payment_method_data": card("5555555555554444")}],
)
def test_other_parameters_under_a_used_key_are_refused(sandbox: Running, changes: Json) -> None:
    pay(sandbox, key="k")
    error = refused(lambda: pay(sandbox, key="k", **changes), stripe.IdempotencyError)
    assert error.http_status == 400
    assert sandbox.books()["totals"]["USD"]["payments"] == 1


def test_another_endpoint_under_a_used_key_is_refused(sandbox: Running) -> None:
    intent = pay(sandbox, key="k")
    refund = sandbox.stripe().v1.refunds
    refused(lambda: refund.create({"payment_intent": intent.id}, {"idempotency_key": "k"}), stripe.IdempotencyError)


def test_the_fence_makes_a_bare_intent_under_a_fresh_key(sandbox: Running) -> None:
    create = sandbox.stripe().v1.payment_intents.create
    fence = create({"amount": 2000, "currency": "usd"}, {"idempotency_key": "k"})
    assert fence.status == "requires_payment_method"
    late = refused(lambda: pay(sandbox, key="k"), stripe.IdempotencyError)
    assert late.http_status == 400
    assert sandbox.books()["totals"]["USD"]["captured"] == 0


def test_the_fence_is_refused_where_the_original_ran(sandbox: Running) -> None:
    pay(sandbox, key="k")
    create = sandbox.stripe().v1.payment_intents.create
    refused(lambda: create({"amount": 2000, "currency": "usd"}, {"idempotency_key": "k"}), stripe.IdempotencyError)


def test_a_decline_is_kept(sandbox: Running) -> None:
    first, again = (refused(lambda: pay(sandbox, "4000000000000002", key="k"), stripe.CardError) for _ in range(2))
    assert first.error.payment_intent.id == again.error.payment_intent.id
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_refusal_by_the_objects_state_is_kept(sandbox: Running) -> None:
    intent = pay(sandbox)
    api = sandbox.stripe().v1.payment_intents
    for replayed in (None, "true"):
        error = refused(lambda: api.capture(intent.id, {}, {"idempotency_key": "k"}))
        assert error.headers.get("Idempotent-Replayed") == replayed


def test_a_refusal_of_parameters_leaves_the_key_free(sandbox: Running) -> None:
    refused(lambda: pay(sandbox, key="k", amount=1))
    assert pay(sandbox, key="k").status == "succeeded"


def test_a_key_belongs_to_its_account(sandbox: Running) -> None:
    sandbox.post("/sandbox/accounts", {"processor": "stripe", "id": "acct_2", "api_key": "sk_test_second_account"})
    pay(sandbox, key="k")
    other = sandbox.stripe("sk_test_second_account").v1.payment_intents
    assert other.create({"amount": 500, "currency": "usd"}, {"idempotency_key": "k"}).amount == 500


def test_of_two_at_the_same_time_one_is_told_to_wait(sandbox: Running) -> None:
    sandbox.fault("latency", "stripe.payment_intents.create", seconds=3, times=1)

    def attempt(_: int) -> str:
        try:
            return str(pay(sandbox, key="k").id)
        except stripe.StripeError as error:
            assert error.http_status == 409
            return str(error.error and error.error.code)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(8)))
    ids = set(answers) - {"idempotency_key_in_use"}
    assert len(ids) == 1 and "idempotency_key_in_use" in answers
    assert pay(sandbox, key="k").id in ids
    assert sandbox.books()["totals"]["USD"]["payments"] == 1
