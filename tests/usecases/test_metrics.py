"""What Prometheus would read: numbers that follow what happens, and no label that could tell of somebody."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import requests
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from sandbox.local.ports import LOOPBACK, free_port
from server.domain.attention import AttentionKind
from server.domain.outcome import Unknown
from server.domain.payment import CaptureMethod, TransactionType
from server.metrics import StandingMetrics, serving
from server.storage.external_refunds import ExternalRefund
from server.storage.open_payments import Opened
from server.storage.standing import read_standing
from tests.cluster import Database
from tests.processors.requests_to_processors import make_card
from tests.processors.sandbox_process import Sandbox
from tests.usecases.conftest import Gateway, empty, gateway_at


@pytest.fixture
async def gateway(own_database: Database, sandbox: Sandbox, owner: Engine) -> AsyncIterator[Gateway]:
    """A gateway whose books hold what the test has made, and nothing else."""
    async with gateway_at(own_database, sandbox) as found:
        yield found
    empty(owner)


async def standing(gateway: Gateway) -> CollectorRegistry:
    registry = CollectorRegistry()
    StandingMetrics(registry).show(await gateway.core.reads.run(read_standing))
    return registry


async def test_payments_and_calls_to_processors_are_counted_by_their_outcome(gateway: Gateway) -> None:
    await gateway.pay(capture_method=CaptureMethod.AUTOMATIC)
    await gateway.pay(make_card("4000000000000002"))
    gateway.fault("stripe", "lost_reply", "stripe.payment_intents.create")
    await gateway.pay()
    value = gateway.metrics.registry.get_sample_value
    kind = {"processor": "stripe", "type": "AUTHORIZATION"}
    assert value("kassa_settled_total", kind | {"payment_state": "COMPLETED", "failure": ""}) == 1
    assert value("kassa_settled_total", kind | {"payment_state": "FAILED", "failure": "CARD_DECLINED"}) == 1
    assert value("kassa_settled_total", kind | {"payment_state": "PROCESSING", "failure": ""}) == 1
    call = {"processor": "stripe", "operation": "authorize"}
    for outcome in ("Approved", "Declined", "OutcomeUnknown"):
        assert value("kassa_processor_seconds_count", call | {"outcome": outcome}) == 1


async def test_group_commit_tells_of_its_batches_and_its_queue(gateway: Gateway) -> None:
    await gateway.till.charged()
    value = gateway.metrics.registry.get_sample_value
    assert value("kassa_commit_batch_rows_sum") == value("kassa_commit_batch_rows_count") == 2
    for name in ("wait", "write"):
        assert value(f"kassa_commit_{name}_seconds_count") == 2
    assert value("kassa_commit_seconds_count") == 2
    assert value("kassa_commit_waiting_rows") == 0


async def test_what_is_open_unhandled_due_and_wrong_is_shown(gateway: Gateway) -> None:
    unknown = await gateway.till.open()
    assert isinstance(unknown, Opened)
    gateway.till.make_older(unknown.transaction, timedelta(hours=2))
    await gateway.till.settle(unknown.transaction, Unknown())
    payment = await gateway.till.charged()
    await gateway.till.begin(payment, TransactionType.REFUND, 1)
    refund = ExternalRefund(payment.merchant_id, payment.id, f"re_{payment.id.hex}", 1, "USD")
    await gateway.core.store.book_refund(refund)
    gateway.write("UPDATE payments SET amount_disputed = 1 WHERE merchant_id = :merchant AND amount_captured > 0")
    await gateway.core.sweeps.check_books.newest()
    value = (await standing(gateway)).get_sample_value
    assert value("kassa_open_transactions", {"state": "UNKNOWN"}) == 1
    assert value("kassa_open_transactions", {"state": "PENDING"}) == 1
    oldest = value("kassa_oldest_unknown_seconds")
    assert oldest is not None and 7200 <= oldest < 7300
    assert value("kassa_open_attention_items", {"kind": "UNRESOLVED"}) == 1
    assert value("kassa_open_attention_items", {"kind": "EXTERNAL_REFUND"}) == 1
    assert value("kassa_books_drift", {"check": "disputes_add_up"}) == 1


async def test_what_there_is_none_of_is_zero_and_not_missing(gateway: Gateway) -> None:
    value = (await standing(gateway)).get_sample_value
    for kind in AttentionKind:
        assert value("kassa_open_attention_items", {"kind": kind.value}) == 0
    for check in ("journals_balance", "processor_totals"):
        assert value("kassa_books_drift", {"check": check}) == 0
    for name in ("unhandled_events", "oldest_event_seconds", "fees_due", "overdue_payments", "oldest_unknown_seconds"):
        assert value(f"kassa_{name}") == 0


async def test_metrics_are_served_until_the_process_ends_and_hold_nothing_of_anybody(gateway: Gateway) -> None:
    payment = await gateway.pay(capture_method=CaptureMethod.AUTOMATIC)
    url = f"{LOOPBACK}:{free_port()}"
    with serving(gateway.metrics.registry, url):
        shown = requests.get(f"http://{url}/metrics", timeout=30).text
    assert "kassa_settled_total{" in shown
    for secret in (payment.id, payment.merchant_id, payment.processor_payment_id, "4242", "ada@", "sk_test"):
        assert str(secret) not in re.sub(r"[0-9.e+-]+$", "", shown, flags=re.MULTILINE)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{url}/metrics", timeout=30)


def test_without_an_address_nothing_is_served() -> None:
    with serving(CollectorRegistry(), None):
        pass
