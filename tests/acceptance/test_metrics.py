"""Every server and the worker show their metrics on a port of their own, and the books do not drift."""

import re

import requests

from server.storage.book_checks import CHECKS
from tests.acceptance.shop import DECLINED, TIMEOUT_S, Shop, card, order, wait_until
from tests.acceptance.stacks import Platform


def metrics(platform: Platform, part: str) -> dict[str, float]:
    """Samples by name and labels, as they are written."""
    port = platform.stack.site.ports[f"{part}-metrics"]
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S).text
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def test_servers_count_calls_and_payments(platform: Platform, shop: Shop) -> None:
    def total(name: str) -> float:
        shown = [metrics(platform, part) for part in ("server-1", "server-2")]
        return sum(value for samples in shown for key, value in samples.items() if re.match(name, key))

    calls = r'kassa_rpc_seconds_count{method="/kassa.v1.PaymentService/CreatePayment",status="OK"}'
    declined = r'kassa_settled_total{failure="CARD_DECLINED",payment_state="FAILED"'
    before = total(calls), total(declined)
    shop.paid()
    shop.pay(order(card=card(DECLINED)))
    assert (total(calls) - before[0], total(declined) - before[1]) == (2, 1)
    refused = r'kassa_rpc_seconds_count{method="/kassa.v1.PaymentService/GetPayment",status="INVALID_ARGUMENT"}'
    unknown = total(refused)
    shop.call("GET", "/v1/payments/pay_nonsense")
    assert total(refused) == unknown + 1


def test_the_worker_shows_how_the_database_stands_and_that_the_books_hold(platform: Platform, shop: Shop) -> None:
    payment = shop.paid()
    shop.post(payment, "refunds", {"amount": "500"})

    def shown() -> dict[str, float]:
        try:
            return metrics(platform, "worker")
        except requests.ConnectionError:  # a stack is up when its servers are
            return {}

    samples = wait_until(shown, lambda found: "kassa_fees_due" in found, 60)
    drift = {key: value for key, value in samples.items() if key.startswith("kassa_books_drift{")}
    assert len(drift) == len(CHECKS) + 1  # and the comparison with the processor
    assert set(drift.values()) == {0.0}
