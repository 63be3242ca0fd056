"""Servers die and replies get lost: every payment ends in the truth, once, and the books of both sides agree."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.acceptance.shop import TIMEOUT_S, Json, Shop, card, order, wait_until
from tests.acceptance.stacks import Platform, merchant_uuid, payment_uuid

pytestmark = pytest.mark.xdist_group("breakable")

OVER = {"COMPLETED", "FAILED", "CANCELLED"}
ANSWERED = {201, 402}
"""A client that is told one of these does not come back."""


def books_agree(platform: Platform, shop: Shop) -> None:
    """Compares Kassa's payments with the sandbox's charges, and demands a balanced ledger."""
    kept = "SELECT id::text, amount_captured - amount_refunded FROM payments WHERE merchant_id = %s::uuid"
    ours = {key: value for key, value in platform.query(kept, merchant_uuid(shop)) if value}
    theirs: dict[str, int] = {}
    for entry in shop.books():
        assert entry["payment"], f"a charge that Kassa does not know: {entry}"
        key = str(payment_uuid(entry["payment"]))
        theirs[key] = theirs.get(key, 0) + entry["captured"] - entry["refunded"]
    assert {key: value for key, value in theirs.items() if value} == ours
    merchant = merchant_uuid(shop)
    total = platform.query("SELECT COALESCE(sum(amount), 0) FROM ledger_entries WHERE merchant_id = %s::uuid", merchant)
    assert total == [(0,)]


def answered(response: requests.Response) -> Json:
    """Reads a final answer: paid or, where recovery came before the client did, proven never to have been asked for."""
    payment: Json = response.json()
    if response.status_code == 402:
        assert (payment["state"], payment["failure"]["code"]) == ("FAILED", "NOT_SUBMITTED"), response.text
    else:
        assert payment["state"] == "COMPLETED", response.text
    return payment


def states(shop: Shop) -> dict[str, str]:
    """The state of each of the shop's payments."""
    return {payment["id"]: payment["state"] for payment in shop.payments()}


def test_a_killed_server_loses_nothing(own_stack: Platform) -> None:
    """Half of the clients repeat with their key; the others leave without an answer, and the worker settles theirs."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="latency", operation="stripe.*", seconds=0.05, max_seconds=0.15, seed=7)
    killed = threading.Event()
    chance = random.Random(7)

    def one(number: int) -> Json | None:
        body, key = order(), str(uuid4())
        if number == 60:
            own_stack.kill("server-1")
            killed.set()
        returns = chance.random() < 0.5
        for _ in range(60 if returns else 1):
            try:
                response = shop.pay(body, key)
            except requests.RequestException:
                continue
            if response.status_code in ANSWERED:
                return answered(response)
            assert response.status_code in {202, 409, 502, 503, 504}, response.text
            threading.Event().wait(0.2)
        return None

    with ThreadPoolExecutor(16) as threads:
        answers = [answer for answer in threads.map(one, range(200)) if answer is not None]
    assert killed.is_set()
    own_stack.heal()
    query = "SELECT count(*) FROM payments WHERE merchant_id = %s::uuid AND state = 'PROCESSING'"
    wait_until(lambda: own_stack.query(query, merchant_uuid(shop)), lambda rows: rows == [(0,)], 90)
    payments = states(shop)
    assert set(payments.values()) <= OVER
    assert len(payments) <= 200
    assert len({answer["id"] for answer in answers}) == len(answers)
    assert all(payments[answer["id"]] == answer["state"] for answer in answers)
    assert [answer["state"] for answer in answers].count("COMPLETED") > 50
    books_agree(own_stack, shop)


def test_a_lost_reply_is_found_out_and_charged_once(own_stack: Platform) -> None:
    """The charge is booked at the processor and its answer never arrives; the client comes back with its key."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="lost_reply", operation="stripe.payment_intents.create", times=1)
    body, key = order(), str(uuid4())
    first = shop.pay(body, key)
    assert first.status_code in {201, 202}
    again = wait_until(lambda: shop.pay(body, key), lambda response: response.status_code == 201, 60)
    assert again.json()["state"] == "COMPLETED"
    assert again.json()["id"] == first.json()["id"]
    assert [entry["captured"] for entry in shop.books()] == [1999]


def test_a_lost_reply_is_settled_though_nobody_comes_back(own_stack: Platform) -> None:
    """The card is gone, so the request cannot be repeated: recovery fences it and finds the charge."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="webhook_drop", operation="stripe.webhook.*")
    own_stack.fault(kind="lost_reply", operation="stripe.payment_intents.create", times=1)
    payment = shop.pay().json()
    settled = shop.until(payment, lambda now: now["state"] in OVER, 90)
    captured = [entry["captured"] for entry in shop.books()]
    assert (settled["state"], captured) == ("COMPLETED", [1999])
    books_agree(own_stack, shop)


def test_a_request_that_never_arrived_is_proven_so(own_stack: Platform) -> None:
    """The connection broke before the processor acted: the fence shows it, the payment fails, and stays failed."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="webhook_drop", operation="stripe.webhook.*")
    own_stack.fault(kind="lost_request", operation="stripe.payment_intents.create", times=1)
    body, key = order(), str(uuid4())
    payment = shop.pay(body, key).json()
    settled = shop.until(payment, lambda now: now["state"] in OVER, 90)
    assert (settled["state"], settled["failure"]["code"]) == ("FAILED", "NOT_SUBMITTED")
    again = shop.pay(body, key)
    assert (again.status_code, answered(again)["id"]) == (402, payment["id"])
    assert sum(entry["captured"] for entry in shop.books()) == 0


def test_a_lost_refund_is_found_out(own_stack: Platform) -> None:
    shop = own_stack.new_shop()
    payment = shop.paid()
    own_stack.fault(kind="lost_reply", operation="stripe.refunds.create", times=1)
    shop.post(payment, "refunds", {"amount": 700})
    settled = shop.until(payment, lambda now: now["amount_refunded"] == "700", 60)
    assert settled["state"] == "COMPLETED"
    books_agree(own_stack, shop)


def test_an_event_that_could_not_be_asked_about_is_handled_again(own_stack: Platform) -> None:
    """The refund fails while the processor answers no question about it: its event must not count as handled."""
    shop = own_stack.new_shop()
    payment = shop.paid(card=card("4000000000005126"))
    own_stack.fault(kind="error", operation="stripe.refunds.retrieve", status=500)
    assert shop.post(payment, "refunds").status_code == 200
    asked = """SELECT count(*) FROM processor_events
               WHERE type = 'refund.failed' AND processor_payment_id = %s AND attempts > 0"""
    wait_until(lambda: own_stack.query(asked, payment["processor_payment_id"]), lambda rows: rows == [(1,)])
    assert shop.get(payment)["amount_refunded"] == "1999"
    own_stack.heal()
    shop.until(payment, lambda now: now["amount_refunded"] == "0")
    books_agree(own_stack, shop)


def test_a_server_that_is_told_to_stop_finishes_its_work(own_stack: Platform) -> None:
    """SIGTERM under load: clients get no error, unless that too much waits, until the server is gone and after it."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="latency", operation="stripe.*", seconds=0.05, max_seconds=0.15, seed=7)
    gone = threading.Event()

    def pay_until_it_is_gone(_: int) -> list[int]:
        codes = [shop.pay().status_code]
        while not gone.is_set():
            codes.append(shop.pay().status_code)
        return codes

    def stop_it() -> None:
        own_stack.terminate("server-2")
        wait_until(lambda: own_stack.exit_status("server-2"), lambda status: status is not None, 60)
        gone.set()

    with ThreadPoolExecutor(9) as threads:
        buyers = threads.map(pay_until_it_is_gone, range(8))
        threads.submit(stop_it).result()
        codes = [code for each in buyers for code in each]
    assert own_stack.exit_status("server-2") == 0
    assert len(codes) > 50
    assert set(codes) == {201}
    books_agree(own_stack, shop)


def test_postgres_that_crashes_under_load_loses_no_acknowledged_payment(own_stack: Platform) -> None:
    """Clients see errors that may be repeated, repeat them with their key, and end with one payment each."""
    shop = own_stack.new_shop()
    own_stack.fault(kind="latency", operation="stripe.*", seconds=0.05, max_seconds=0.15, seed=7)
    begun = threading.Semaphore(0)

    def buy(_: int) -> Json:
        body, key = order(), str(uuid4())
        begun.release()
        for _attempt in range(150):
            response = shop.pay(body, key)
            if response.status_code in ANSWERED:
                return answered(response)
            assert response.status_code in {202, 409, 503}, response.text
            threading.Event().wait(0.2)
        raise AssertionError("never answered")

    with ThreadPoolExecutor(12) as threads:
        buyers = threads.map(buy, range(100))
        for _ in range(30):
            begun.acquire()
        own_stack.crash_postgres()
        acknowledged = list(buyers)
    own_stack.heal()
    assert states(shop) == {answer["id"]: answer["state"] for answer in acknowledged}
    assert len({answer["id"] for answer in acknowledged}) == 100
    assert [answer["state"] for answer in acknowledged].count("COMPLETED") > 50
    assert own_stack.exit_status("worker") is None
    books_agree(own_stack, shop)


def test_a_database_that_stands_still_turns_callers_away_at_once(own_stack: Platform) -> None:
    """It takes connections and answers nothing; who comes while it does is refused rather than kept waiting."""
    shop = own_stack.new_shop()
    body, key = order(), str(uuid4())
    with ThreadPoolExecutor(32) as threads:  # so that each server has all of its connections: a new one would be missed
        list(threads.map(lambda _: shop.call("GET", "/v1/payments"), range(200)))
    assert own_stack.healthy_servers() == 2
    with own_stack.frozen_postgres():
        wait_until(own_stack.healthy_servers, lambda count: count == 0, 60)
        began = time.monotonic()
        refused = shop.pay(body, key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert time.monotonic() - began < 5
    wait_until(own_stack.healthy_servers, lambda count: count == 2, 60)
    assert shop.pay(body, key).status_code == 201
    books_agree(own_stack, shop)


def test_a_webhook_that_cannot_be_handled_now_waits_and_is_handled_later(own_stack: Platform) -> None:
    """The processor is asked again before anything is booked, and at first it does not answer."""
    shop = own_stack.new_shop()
    payment = shop.paid()
    own_stack.fault(kind="error", operation="stripe.refunds.retrieve", status=500, times=2)
    body = {"payment_intent": payment["processor_payment_id"], "amount": 500}
    assert requests.post(f"{shop.sandbox_url}/sandbox/stripe/refunds", json=body, timeout=TIMEOUT_S).ok
    refunded = shop.until(payment, lambda now: now["amount_refunded"] != "0", 60)
    assert refunded["amount_refunded"] == "500"
    tries = "SELECT max(attempts) FROM processor_events WHERE processor_payment_id = %s AND subject = 'REFUND'"
    assert own_stack.query(tries, payment["processor_payment_id"])[0][0] >= 2
    books_agree(own_stack, shop)
