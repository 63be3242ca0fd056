"""What is opened late or amid trouble: it is not sent when nobody waits any more, and callers are told the truth."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from server.bootstrap import make_use_cases
from server.domain.errors import KassaError, Reason
from server.domain.outcome import NotSent
from server.domain.payment import Payment, State, Transaction, TransactionType
from server.processors.contract import Account
from server.screening.screen import Screening
from server.storage import transactions
from server.storage.claims import Replay
from server.storage.driver import Found
from server.storage.open_operations import OperationOpened
from server.storage.settle import Settled
from server.usecases.recover_transaction import Recovered
from server.usecases.replay import Replays
from tests.cluster import Database
from tests.factories import approved
from tests.processors.requests_to_processors import make_card
from tests.processors.sandbox_process import Sandbox
from tests.refusals import again_while
from tests.storage.gate import broken
from tests.usecases.conftest import Gateway, gateway_at
from tests.usecases.shop import Shop, shop_at

CAPTURE = TransactionType.CAPTURE
LEASE_S = 1.0
RULES = "ruleset: open\nrules:\n  - id: none_so_far\n    when: amount_usd > 1000\n    action: block\n"


@pytest.fixture
async def gateway(own_database: Database, sandbox: Sandbox) -> AsyncIterator[Gateway]:
    """Whose leases are short. In a database of its own, since the tests lock a table."""
    async with gateway_at(own_database, sandbox) as found:
        core = replace(found.core, lease_s=LEASE_S)
        yield replace(found, core=core, use_cases=make_use_cases(core, cast(Screening, None)).payments)


@pytest.fixture
async def shop(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Shop]:
    rules = tmp_path / "open.yaml"
    rules.write_text(RULES)
    async with shop_at(gateway, rules) as found:
        yield found


@asynccontextmanager
async def database_that_hangs(gateway: Gateway) -> AsyncIterator[None]:
    """Takes no claim in the block."""
    with gateway.till.engine.connect() as connection:
        await asyncio.to_thread(connection.execute, text("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE"))
        yield
        connection.rollback()


async def test_a_payment_that_the_database_took_too_late_is_never_charged(shop: Shop) -> None:
    """Its customer has long paid elsewhere. Recovery finds that nothing was asked for, and so it ends."""
    gateway = shop.gateway
    async with database_that_hangs(gateway):
        paying = asyncio.ensure_future(shop.pay(make_card(), key="order-1"))
        assert not (await asyncio.wait([paying], timeout=LEASE_S + 0.5))[0]
    with pytest.raises(KassaError) as told:
        await paying
    assert told.value.reason is Reason.REQUEST_IN_FLIGHT
    [(payment, transaction)] = gateway.till.query(
        "SELECT payment_id, id FROM transactions WHERE merchant_id = :merchant"
    )
    assert isinstance(payment, UUID) and isinstance(transaction, UUID)
    assert not [one for one in gateway.sandbox.payments(gateway.books["stripe"]) if one["captured"]]
    gateway.write("UPDATE transactions SET lease_until = now() - interval '1 second' WHERE merchant_id = :merchant")
    assert await gateway.core.recover(gateway.till.merchant, payment, transaction) is Recovered.SETTLED
    assert gateway.till.query("SELECT state FROM payments WHERE merchant_id = :merchant") == [("FAILED",)]


async def test_a_capture_that_the_database_took_too_late_waits_for_its_repeat(gateway: Gateway) -> None:
    held = await gateway.pay()
    key = str(uuid4())
    async with database_that_hangs(gateway):
        capturing = asyncio.ensure_future(gateway.use_cases.capture(gateway.caller, key, held.id, None))
        assert not (await asyncio.wait([capturing], timeout=LEASE_S + 0.5))[0]
    with pytest.raises(KassaError) as told:
        await capturing
    assert told.value.reason is Reason.REQUEST_IN_FLIGHT
    assert gateway.booked(held)["captured"] == 0
    gateway.write("UPDATE transactions SET lease_until = now() - interval '1 second' WHERE merchant_id = :merchant")

    async def repeat() -> Payment:
        return (await gateway.use_cases.capture(gateway.caller, key, held.id, None)).value

    # Where all is slow, a lease is over before use is made of it.
    assert (await again_while(Reason.REQUEST_IN_FLIGHT, repeat)).state is State.COMPLETED
    assert gateway.booked(held)["captured"] == held.amount


async def test_a_payment_whose_commit_was_lost_for_long_is_never_charged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds itself in the database when that is back; until then its customer has left."""
    lost: list[float] = []
    send = vars(transactions)["send"]

    def lose(connection: Connection, sql: str) -> Found:
        away = bool(lost) and time.monotonic() - lost[0] < LEASE_S + 0.3
        if away or (not lost and sql == "COMMIT"):
            if not lost:
                send(connection, sql)
                lost.append(time.monotonic())
            connection.invalidate()
            raise broken()
        found: Found = send(connection, sql)
        return found

    monkeypatch.setattr(transactions, "send", lose)
    with pytest.raises(KassaError) as told:
        await shop.pay(make_card())
    assert told.value.reason is Reason.REQUEST_IN_FLIGHT
    gateway = shop.gateway
    assert gateway.till.query("SELECT state FROM payments WHERE merchant_id = :merchant") == [("PROCESSING",)]
    assert not gateway.sandbox.payments(gateway.books["stripe"])


@pytest.mark.parametrize("repeated", [False, True])
async def test_a_payment_whose_account_is_read_too_late_is_not_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, repeated: bool
) -> None:
    """Also where a client comes back with the card and carries the first attempt on."""
    gateway = shop.gateway
    by_id, slow = gateway.core.act._accounts.by_id, iter([True, repeated])

    async def slowly(account_id: UUID) -> Account:
        if next(slow, False):
            await asyncio.sleep(LEASE_S + 0.1)
        return await by_id(account_id)

    monkeypatch.setattr(gateway.core.act._accounts, "by_id", slowly)
    for _ in range(1 + repeated):
        with pytest.raises(KassaError) as told:
            await shop.pay(make_card(), key="order-1")
        assert told.value.reason is Reason.REQUEST_IN_FLIGHT
    assert not gateway.sandbox.payments(gateway.books["stripe"])
    gateway.write("UPDATE transactions SET lease_until = now() - interval '1 second' WHERE merchant_id = :merchant")
    paid = await again_while(Reason.REQUEST_IN_FLIGHT, lambda: shop.pay(make_card(), key="order-1"))
    assert paid.state is State.COMPLETED


async def test_an_account_that_cannot_be_read_does_not_undo_what_is_open(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The capture goes on when the database is back, so its caller must not be told that it failed."""
    held = await gateway.pay()

    async def away(account_id: object) -> None:
        raise KassaError(Reason.SERVICE_UNAVAILABLE, "The database cannot be reached.")

    with monkeypatch.context() as trouble:
        trouble.setattr(gateway.core.act._accounts, "by_id", away)
        with pytest.raises(KassaError) as told:
            await gateway.capture(held)
    assert told.value.reason is Reason.REQUEST_IN_FLIGHT


async def test_a_repeat_does_not_follow_its_key_into_another_request(gateway: Gateway) -> None:
    """Its own request was undone while it waited, and the key was taken for another amount."""
    held = await gateway.pay()
    first = await gateway.core.store.open_operation(gateway.till.operation(held, CAPTURE, 500, key="capture-1"))
    waits = await gateway.core.store.open_operation(gateway.till.operation(held, CAPTURE, 500, key="capture-1"))
    assert isinstance(first, OperationOpened) and isinstance(waits, Replay)
    await gateway.till.settle(first.transaction, NotSent())
    other = gateway.till.operation(held, CAPTURE, 300, key="capture-1", request=b"another")
    opened = await gateway.core.store.open_operation(other)
    assert isinstance(opened, OperationOpened)
    await gateway.till.settle(opened.transaction, approved(opened.transaction))

    async def carry_on(payment: Payment, transaction: Transaction, until: float) -> Settled:
        raise AssertionError(f"{transaction.amount} of {payment.id} are somebody else's")

    with pytest.raises(KassaError) as told:
        await Replays(gateway.core.store, lease_s=LEASE_S)(held.merchant_id, "capture-1", waits, carry_on)
    assert told.value.reason is Reason.REQUEST_IN_FLIGHT
