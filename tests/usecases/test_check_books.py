"""The books are checked all the time: nothing is found where nothing is wrong, and every check finds what it is for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.outcome import Declined
from server.domain.payment import CaptureMethod, Payment, State, TransactionType
from server.processors.contract import Wallet
from server.storage.book_checks import CHECKS, Drift, run_check
from server.storage.book_walks import BEGINNING, drift_counts, read_position, record_drift
from server.storage.external_refunds import ExternalRefund
from server.usecases import check_books
from server.usecases.check_books import WALK, BooksReport, CheckBooks
from tests.cluster import Database
from tests.factories import approved
from tests.processors.requests_to_processors import make_card
from tests.processors.sandbox_process import Sandbox
from tests.storage.conftest import HELD
from tests.usecases.conftest import THREE_D_SECURE, Gateway, empty, gateway_at

DECLINED = Declined(failure=Failure(DeclineCode.CARD_DECLINED, "Declined.", Advice.TRY_ANOTHER_METHOD))
ONE_SIDED = """
    INSERT INTO ledger_entries SELECT (jsonb_populate_record(l, jsonb_build_object('id', gen_random_uuid()))).*
    FROM ledger_entries l WHERE l.payment_id = :payment AND account = 'processor_receivable' LIMIT 1
"""
OTHERWISE = "UPDATE ledger_entries SET account = 'refunds' WHERE payment_id = :payment AND account = 'merchant_payable'"
FOREIGN = "UPDATE ledger_entries SET currency = 'EUR' WHERE payment_id = :payment"
AUTHORIZATION = "UPDATE transactions SET {} WHERE payment_id = :payment AND type = 'AUTHORIZATION'"
CAPTURE = "UPDATE transactions SET {} WHERE payment_id = :payment AND type = 'CAPTURE'"
PAYMENT = "UPDATE payments SET {} WHERE id = :payment"
OPEN_REVIEW = """
    INSERT INTO reviews (merchant_id, payment_id, state, deadline, default_verdict, next_attempt_at, created_at)
    SELECT merchant_id, id, 'OPEN', now(), 'REJECT', now(), now() FROM payments WHERE id = :payment
"""
DOCTORED = [
    ("journals_balance", ONE_SIDED),
    ("ledger_equals_payment", OTHERWISE),
    ("ledger_equals_payment", FOREIGN),
    ("ledger_equals_payment", PAYMENT.format("amount_captured = 1998")),
    ("ledger_equals_payment", "DELETE FROM ledger_entries WHERE payment_id = :payment"),
    ("captured_within_authorized", PAYMENT.format("amount_authorized = 1998")),
    ("refunded_within_captured", PAYMENT.format("amount_refunded = 1500, amount_refunding = 500")),
    ("refunds_add_up", PAYMENT.format("amount_refunding = 1")),
    ("refunds_add_up", PAYMENT.format("amount_refunded = 1")),
    ("disputes_add_up", PAYMENT.format("amount_disputed = 1")),
    *(("state_follows_transactions", PAYMENT.format(f"state = '{state}'")) for state in State if state != "COMPLETED"),
    ("state_follows_transactions", AUTHORIZATION.format("state = 'FAILED'")),
    ("state_follows_transactions", CAPTURE.format("amount = 1998")),
    ("state_follows_transactions", CAPTURE.format("type = 'VOID'")),
    ("answers_follow_transactions", AUTHORIZATION.format("state = 'PENDING', waiting = true")),
    ("answers_follow_transactions", "UPDATE idempotency_keys SET answer = NULL WHERE payment_id = :payment"),
    ("reviews_follow_payments", OPEN_REVIEW),
]


@pytest.fixture
async def gateway(own_database: Database, sandbox: Sandbox, owner: Engine) -> AsyncIterator[Gateway]:
    """A gateway whose books hold what the test has made, and nothing else."""
    async with gateway_at(own_database, sandbox) as found:
        yield found
    empty(owner)


def checks(gateway: Gateway, chunk: int = 1_000) -> CheckBooks:
    return CheckBooks(gateway.core.reads, gateway.core.transactions, chunk=chunk)


async def everything(gateway: Gateway, chunk: int = 1_000) -> BooksReport:
    return await checks(gateway, chunk).everything(lambda done, total: None)


async def counted(gateway: Gateway) -> dict[str, int]:
    return await gateway.core.reads.run(drift_counts)


def doctor(owner: Engine, payment: Payment, statement: str) -> None:
    with owner.begin() as connection:
        assert connection.execute(text(statement), {"payment": payment.id}).rowcount


async def a_bit_of_everything(gateway: Gateway) -> list[Payment]:
    """Payments in every state, by every road that leads there."""
    automatic = CaptureMethod.AUTOMATIC
    held = [await gateway.pay() for _ in range(4)]
    await gateway.capture(held[0])
    await gateway.capture(held[1], 1500)
    await gateway.refund(held[1], 500)
    await gateway.use_cases.cancel(gateway.caller, str(uuid4()), held[2].id, "")
    taken = [await gateway.pay(capture_method=automatic) for _ in range(3)]
    await gateway.refund(taken[0])
    refund = (await gateway.till.begin(taken[1], TransactionType.REFUND)).transaction  # under way
    external = ExternalRefund(taken[2].merchant_id, taken[2].id, f"re_{taken[2].id.hex}", 400, "USD")
    await gateway.core.store.book_refund(external)
    waiting = [await gateway.pay(make_card(THREE_D_SECURE)), await gateway.pay(Wallet())]
    failed = await gateway.pay(make_card("4000000000000002"))
    unknown = (await gateway.till.open()).payment  # type: ignore[union-attr]
    contradicted = await gateway.till.open()
    await gateway.till.settle(contradicted.transaction, DECLINED)  # type: ignore[union-attr]
    await gateway.till.settle(contradicted.transaction, approved(contradicted.transaction))  # type: ignore[union-attr]
    assert refund.amount == 1999
    in_review = await gateway.pay(decision=HELD)
    payments = [*held, in_review, *taken, *waiting, failed, unknown, contradicted.payment]  # type: ignore[union-attr]
    given_back = next(one for one in await gateway.transactions(payments[-1]) if "compensates" in one.detail)
    await gateway.till.settle(given_back, approved(given_back))
    return payments


async def test_nothing_is_found_where_nothing_is_wrong(gateway: Gateway) -> None:
    payments = await a_bit_of_everything(gateway)
    states = {(await gateway.now(payment)).state for payment in payments}
    assert states == set(State)
    assert await everything(gateway) == BooksReport(len(payments), ())
    assert await counted(gateway) == {}


@pytest.mark.parametrize(("check", "statement"), DOCTORED)
async def test_every_check_finds_what_it_is_for(gateway: Gateway, owner: Engine, check: str, statement: str) -> None:
    good, bad = [await gateway.capture(await gateway.pay()) for _ in range(2)]
    doctor(owner, bad, statement)
    report = await everything(gateway)
    assert check in {drift.check for drift in report.drifts}
    assert {drift.payment_id for drift in report.drifts} == {bad.id} != {good.id}
    assert all(drift.merchant_id == bad.merchant_id and drift.detail for drift in report.drifts)


def test_no_check_is_without_a_case() -> None:
    assert {check for check, _ in DOCTORED} == {check.name for check in CHECKS}


async def test_what_is_found_is_kept_until_it_is_right_again(gateway: Gateway, owner: Engine) -> None:
    payment = await gateway.pay(capture_method=CaptureMethod.AUTOMATIC)
    doctor(owner, payment, PAYMENT.format("amount_disputed = 1"))
    for _ in range(2):
        assert await checks(gateway).newest() == 1
        assert await counted(gateway) == {"disputes_add_up": 1}
    doctor(owner, payment, PAYMENT.format("amount_disputed = 0"))
    assert await checks(gateway).newest() == 0
    assert await counted(gateway) == {}


async def test_the_walk_meets_every_payment_in_turn_and_begins_anew(gateway: Gateway, owner: Engine) -> None:
    payments = [await gateway.pay(capture_method=CaptureMethod.AUTOMATIC) for _ in range(5)]
    doctor(owner, payments[3], PAYMENT.format("amount_disputed = 1"))
    walk = checks(gateway, chunk=2)
    assert [await walk.walk() for _ in range(3)] == [0, 1, 0]
    assert await gateway.core.reads.run(read_position, WALK) == BEGINNING
    assert await walk.walk() == 0
    assert await counted(gateway) == {"disputes_add_up": 1}


async def test_a_look_at_everything_tells_how_far_it_is(gateway: Gateway) -> None:
    for _ in range(5):
        await gateway.till.charged()
    told: list[tuple[int, int]] = []
    await checks(gateway, chunk=2).everything(lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


@pytest.fixture
def checked(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The checks that were run, in their order; a rest takes an hour."""
    monkeypatch.setattr(check_books, "_LONGEST_REST_S", 3600)
    found: list[object] = []
    run = gateway.core.reads.run

    async def watched(work: Any, *args: Any) -> Any:
        if work is run_check:
            found.append(args[0])
        return await run(work, *args)

    monkeypatch.setattr(gateway.core.reads, "run", watched)
    return found


@pytest.mark.parametrize("look", [CheckBooks.walk, CheckBooks.newest])
async def test_a_running_gateways_checks_rest_in_between(
    gateway: Gateway, checked: list[object], look: Callable[[CheckBooks], Coroutine[None, None, int]]
) -> None:
    """Payments never meet all checks of a chunk in a row. Nor does a walk begin beside one that rests."""
    await gateway.pay()
    books = CheckBooks(gateway.core.reads, gateway.core.transactions, rest=1e6)
    looking = asyncio.create_task(look(books))
    async with asyncio.timeout(30):
        while not checked:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    if look is CheckBooks.walk:
        assert await asyncio.wait_for(books.walk(), 30) == 0
    assert checked == [CHECKS[0]]
    looking.cancel()


async def test_a_look_forgets_nothing_that_another_finds_meanwhile(
    gateway: Gateway, owner: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, drifts = await gateway.pay(), await gateway.capture(await gateway.pay())
    doctor(owner, drifts, PAYMENT.format("amount_refunding = 1"))
    found = Drift("journals_balance", sound.merchant_id, sound.id, "found by another look")
    run, others = gateway.core.reads.run, [found]

    async def meanwhile(work: Any, *args: Any) -> Any:
        if work is run_check and others:
            key = (found.merchant_id, found.payment_id)
            await gateway.core.transactions.run(record_drift, [found.check], [key], [others.pop()])
        return await run(work, *args)

    monkeypatch.setattr(gateway.core.reads, "run", meanwhile)
    assert await checks(gateway).walk() == 1
    assert await counted(gateway) == {"journals_balance": 1, "refunds_add_up": 1}


async def test_a_look_at_everything_takes_no_rest(gateway: Gateway, checked: list[object]) -> None:
    await gateway.pay()
    report = await asyncio.wait_for(everything(gateway), 60)
    assert (report.payments, checked) == (1, [*CHECKS])
