"""With a state file a restart, even a kill, forgets nothing that was answered."""

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import stripe

from tests.sandbox.harness import TIMEOUT_S, Json, Loop, running
from tests.sandbox.paypal_calls import approved, create, link, post
from tests.sandbox.stripe_calls import pay, refused

SERVE = [sys.executable, "-m", "sandbox.serve", "--port", "0"]


def test_everything_is_there_after_a_restart(loop: Loop, tmp_path: Path) -> None:
    state = tmp_path / "books.sqlite"
    with running(loop, state=state, later_s=3600) as before:
        paid = pay(before, key="k", metadata={"kassa_transaction": "t-9"})
        waiting = pay(before, "4000000000003220")
        order = approved(before)
        books, anchor = before.books(), requests.get(f"{before.url}/paypal/ca.pem", timeout=TIMEOUT_S).content
        account = before.post("/sandbox/accounts", {"processor": "stripe", "api_key": "sk_test_shop_account"})
    with running(loop, state=state, later_s=3600) as after:
        assert after.books() == books
        assert pay(after, key="k", metadata={"kassa_transaction": "t-9"}).id == paid.id
        refused(lambda: pay(after, key="k", amount=1), stripe.IdempotencyError)
        found = after.stripe().v1.payment_intents.retrieve(waiting.id)
        assert found.next_action is not None and found.next_action.redirect_to_url is not None
        after.choose(str(found.next_action.redirect_to_url.url), "approve")
        assert post(after, f"v2/checkout/orders/{order['id']}/capture")["status"] == "COMPLETED"
        assert requests.get(f"{after.url}/paypal/ca.pem", timeout=TIMEOUT_S).content == anchor
        assert after.stripe(account["api_key"]).v1.payment_intents.list().data == []
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600


def test_what_was_to_happen_later_happens_after_a_restart(loop: Loop, tmp_path: Path) -> None:
    state = tmp_path / "books.sqlite"
    debit: Json = {"payment_method_types": ["us_bank_account"], "payment_method_data": None}
    with running(loop, state=state, later_s=0.5, webhook_url="http://127.0.0.1:9") as before:
        intent = pay(before, payment_method="pm_usBankAccount_success", **debit)
    with running(loop, state=state) as after:
        # What could not be delivered then goes to where the endpoint is now.
        kinds = ["payment_intent.processing", "payment_intent.succeeded"]
        for kind in kinds:
            assert after.inbox.wait_for(kind)[0].event["data"]["object"]["id"] == intent.id


def test_no_card_number_reaches_the_file(loop: Loop, tmp_path: Path) -> None:
    state = tmp_path / "books.sqlite"
    with running(loop, state=state) as sandbox:
        pay(sandbox, "5555555555554444", key="k")
        refused(lambda: pay(sandbox, "4000000000000002", key="k2"), stripe.CardError)
    files = list(tmp_path.iterdir())
    assert files
    for path in files:
        content = path.read_bytes()
        assert b"5555555555554444" not in content and b"4000000000000002" not in content


def test_a_killed_process_has_kept_what_it_answered(tmp_path: Path) -> None:
    state = tmp_path / "books.sqlite"
    for round_ in (1, 2):
        with subprocess.Popen([*SERVE, "--state", str(state)], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().split()[-1]
                books = requests.get(f"{url}/books", timeout=TIMEOUT_S).json()["accounts"][0]
                assert len(books["payments"]) == round_ - 1
                form = {"amount": "500", "currency": "usd", "confirm": "true", "payment_method": "pm_card_visa"}
                auth = {"Authorization": "Bearer sk_test_sandbox"}
                assert requests.post(f"{url}/v1/payment_intents", data=form, headers=auth, timeout=TIMEOUT_S).ok
            finally:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_and_stops_when_told(number: signal.Signals, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    command = [*SERVE, "--paypal-ca-file", str(ca_file), "--stripe-key", "sk_test_of_the_stack"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            line = process.stdout.readline()
            url = re.fullmatch(r"sandbox: (http://127\.0\.0\.1:\d+)\n", line)
            assert url is not None
            health = requests.get(f"{url[1]}/healthz", timeout=TIMEOUT_S)
            assert health.json() == {"status": "ok", "undelivered_webhooks": 0}
            assert ca_file.exists()
            process.send_signal(number)
            assert process.wait(TIMEOUT_S) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_pages_say_what_they_are_and_load_nothing(loop: Loop) -> None:
    with running(loop) as sandbox:
        pages = [
            pay(sandbox, "4000000000003220", description="<script>x</script>").next_action.redirect_to_url.url,
            link(create(sandbox), "payer-action"),
        ]
        for page in pages:
            shown = requests.get(page, timeout=TIMEOUT_S)
            assert "No real processor is involved" in shown.text and "20.00 USD" in shown.text
            assert "<script" not in shown.text and "default-src 'none'" in shown.headers["Content-Security-Policy"]
