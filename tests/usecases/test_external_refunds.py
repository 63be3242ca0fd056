"""A refund made in the processor's dashboard, of which events tell; they are handed over here by hand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from server.domain.payment import Payment, State
from server.processors.contract import Subject
from server.storage.external_refunds import ExternalRefund
from server.storage.processor_events import StoredEvent
from tests.cluster import Database
from tests.processors.requests_to_processors import make_card
from tests.processors.sandbox_process import running
from tests.usecases.conftest import Gateway, gateway_at

REFUNDS_FAIL = "4000000000005126"


def event(payment: Payment, kind: str, refund_id: str) -> StoredEvent:
    """What Stripe tells of a refund."""
    return StoredEvent(
        payment.processor_account_id, f"evt_{kind}", "stripe", kind, Subject.REFUND, payment.processor_payment_id,
        refund_id, None, 0, datetime.now(UTC), False,
    )  # fmt: skip


def refund_in_dashboard(gateway: Gateway, payment: Payment, amount: int) -> str:
    body = {"payment_intent": payment.processor_payment_id, "amount": amount}
    made = requests.post(f"{gateway.sandbox.url}/sandbox/stripe/refunds", json=body, timeout=30)
    assert made.ok, made.text
    return str(made.json()["id"])


async def has_failed(gateway: Gateway, payment: Payment) -> None:
    async with asyncio.timeout(60):
        while gateway.booked(payment)["refunds"][0]["state"] != "failed":
            await asyncio.sleep(0.05)


@pytest.fixture
async def gateway(database: Database, tmp_path: Path) -> AsyncIterator[Gateway]:
    """At a sandbox where refunds that fail stand for some seconds first."""
    with running(tmp_path, later_s=4) as sandbox:
        async with gateway_at(database, sandbox) as found:
            yield found


async def test_a_refund_that_fails_while_it_is_booked_is_put_right(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await gateway.capture(await gateway.pay(make_card(number=REFUNDS_FAIL)))
    refund_id = refund_in_dashboard(gateway, payment, 500)
    book, booked = gateway.core.store.book_refund, list[ExternalRefund]()

    async def book_late(row: ExternalRefund) -> bool:
        """The processor has confirmed it; the refund fails, and the news of that comes before we have booked it."""
        booked.append(row)
        await has_failed(gateway, payment)
        await gateway.core.handle(event(payment, "refund.failed", refund_id))
        return await book(row)

    monkeypatch.setattr(gateway.core.store, "book_refund", book_late)
    await gateway.core.handle(event(payment, "refund.created", refund_id))
    assert len(booked) == 1
    after = await gateway.now(payment)
    assert (after.state, after.amount_captured, after.amount_refunded) == (State.COMPLETED, 1999, 0)
    assert gateway.booked(payment)["refunded"] == 0
    owed = gateway.till.query(
        "SELECT sum(amount) FROM ledger_entries WHERE merchant_id = :merchant AND account = 'refunds'"
    )
    assert owed == [(0,)]
