"""Our books beside the processors': a difference is looked at twice, then shown, and forgotten when it is no more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from server.domain.attention import AttentionKind
from server.domain.ids import new_id
from server.domain.payment import CaptureMethod, Payment, TransactionType
from server.processors.contract import Wallet
from server.storage.book_walks import drift_counts
from server.storage.processor_totals import position_of
from server.usecases.compare_processor import CompareProcessor
from tests.cluster import Database
from tests.processors.sandbox_process import Sandbox
from tests.usecases.conftest import Gateway, empty, gateway_at


@pytest.fixture
async def gateway(own_database: Database, sandbox: Sandbox, owner: Engine) -> AsyncIterator[Gateway]:
    """A gateway whose books hold what the test has made, and nothing else."""
    async with gateway_at(own_database, sandbox) as found:
        yield found
    empty(owner)


def comparing(gateway: Gateway, **limits: Any) -> CompareProcessor:
    core = gateway.core
    limits = {"settled_after": timedelta(seconds=-1), "pause_s": 0.0} | limits
    return CompareProcessor(core.store, core.transactions, core.accounts, core.registry, **limits)


async def differing(gateway: Gateway) -> int:
    return (await gateway.core.reads.run(drift_counts)).get("processor_totals", 0)


def attention(gateway: Gateway) -> list[tuple[object, ...]]:
    return gateway.till.query("SELECT kind, detail, resolved_at IS NULL FROM attention_items ORDER BY id")


async def captured(gateway: Gateway) -> Payment:
    return await gateway.pay(capture_method=CaptureMethod.AUTOMATIC)


def refund_in_the_dashboard(gateway: Gateway, payment: Payment, amount: int) -> None:
    gateway.at_stripe("refunds", payment_intent=payment.processor_payment_id, amount=amount)


async def test_where_both_say_the_same_nothing_is_found(gateway: Gateway) -> None:
    held, taken, order = await gateway.pay(), await captured(gateway), await gateway.pay(Wallet())
    gateway.sandbox.decide(order.redirect_url, "approve")
    await gateway.use_cases.confirm(gateway.caller, str(uuid4()), order.id)
    await gateway.capture(await gateway.now(order), 1000)
    await gateway.refund(await gateway.now(order), 400)
    await gateway.refund(taken, 500)
    assert await comparing(gateway)() == 3
    assert (await differing(gateway), attention(gateway)) == (0, [])
    assert held.amount_captured == 0


async def test_what_the_processor_says_otherwise_is_shown_and_forgotten_once_it_agrees(gateway: Gateway) -> None:
    payment = await captured(gateway)
    refund_in_the_dashboard(gateway, payment, 500)
    for _ in range(2):
        await comparing(gateway)()
    told = "captured 1999 and refunded 0 USD here, 1999 and 500 USD at stripe"
    assert attention(gateway) == [(AttentionKind.PROCESSOR_DIFFERS, told, True)]
    assert await differing(gateway) == 1
    gateway.write("UPDATE payments SET amount_refunded = 500 WHERE merchant_id = :merchant")
    await comparing(gateway)()
    assert attention(gateway) == [(AttentionKind.PROCESSOR_DIFFERS, told, False)]
    assert await differing(gateway) == 0


async def test_what_is_booked_while_we_wait_is_no_difference(gateway: Gateway) -> None:
    payment = await captured(gateway)
    refund_in_the_dashboard(gateway, payment, 500)
    work = asyncio.create_task(comparing(gateway, pause_s=0.5)())
    await asyncio.sleep(0.2)
    gateway.write("UPDATE payments SET amount_refunded = 500 WHERE merchant_id = :merchant")
    assert await work == 1
    assert (await differing(gateway), attention(gateway)) == (0, [])


async def test_a_payment_with_something_under_way_is_left_for_later(gateway: Gateway) -> None:
    payment = await captured(gateway)
    await gateway.till.begin(payment, TransactionType.REFUND, 500)
    refund_in_the_dashboard(gateway, payment, 500)
    assert await comparing(gateway)() == 0
    assert await differing(gateway) == 0


async def test_the_newest_come_first_and_the_walk_meets_the_others(gateway: Gateway) -> None:
    old = await captured(gateway)
    refund_in_the_dashboard(gateway, old, 500)
    for _ in range(3):
        await captured(gateway)
    compare = comparing(gateway, chunk=2)
    assert (await compare(), await differing(gateway)) == (2, 0)
    assert (await compare(), await differing(gateway)) == (2, 1)


async def test_a_payment_that_has_not_settled_is_not_compared(gateway: Gateway) -> None:
    payment = await captured(gateway)
    refund_in_the_dashboard(gateway, payment, 500)
    assert await comparing(gateway, settled_after=timedelta(minutes=1))() == 0


async def test_a_processor_that_cannot_be_asked_is_no_difference(gateway: Gateway) -> None:
    await captured(gateway)
    gateway.fault("stripe", "error", "stripe.*", status=500, times=10)
    assert await comparing(gateway)() == 1
    assert (await differing(gateway), attention(gateway)) == (0, [])


def test_a_position_lies_before_every_id_made_later() -> None:
    now = datetime.now(UTC)
    made = new_id()
    assert position_of(now) <= made < position_of(now + timedelta(seconds=5))
    assert position_of(now - timedelta(seconds=5)) < made
