"""An early fraud warning marks its payment once, tells the merchant once, and is counted by whoever pays next."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from server.domain.payment import Customer, Payment
from server.domain.velocity import Counted, Velocity
from server.processors.contract import FraudWarning, OutcomeUnknown
from server.storage.processor_events import StoredEvent, store_event
from server.storage.reads import get_payment
from server.storage.short_transactions import ShortTransactions
from tests.disputes.conftest import Desk
from tests.factories import STRIPE_ACCOUNT, make_payment

RESULT = "SELECT result, handled_at IS NOT NULL FROM processor_events WHERE event_id = :id"
EVENTS = "SELECT data->>'fraud_type' FROM events WHERE merchant_id = :merchant AND type = 'payment.early_fraud_warning'"
BY_CUSTOMER = Velocity("by_customer", "count", "early_fraud_warnings", "customer", 3_600)
BY_MERCHANT = Velocity("by_merchant", "sum", "early_fraud_warnings", "merchant", 3_600)


def warn(desk: Desk, *objects: str) -> StoredEvent:
    """The network warns; the event names the payment's intent."""
    key = f"issfr_{uuid4().hex}"
    desk.bank.warnings[key] = FraudWarning(objects, "made_with_stolen_card")
    return StoredEvent(
        account_id=STRIPE_ACCOUNT,
        event_id=f"evt_{uuid4().hex}",
        processor="stripe",
        type="radar.early_fraud_warning.created",
        subject="WARNING",
        processor_payment_id=objects[-1],
        processor_object_id=key,
        transaction_id=None,
        attempts=0,
        created_at=datetime.now(UTC),
        handled=False,
    )


async def handled(desk: Desk, transactions: ShortTransactions, event: StoredEvent) -> tuple[object, ...]:
    await desk.handle(await transactions.run(store_event, event, b""))
    (result,) = desk.till.query(RESULT, id=event.event_id)
    return result


async def stands(desk: Desk, payment: Payment) -> Payment:
    found = await desk.till.store.read(get_payment, payment.merchant_id, payment.id)
    assert found is not None
    return found


async def test_a_warning_marks_its_payment_and_tells_the_merchant_once(
    desk: Desk, transactions: ShortTransactions
) -> None:
    payment = await desk.till.charged(customer=Customer("cus_1"))
    objects = (payment.processor_capture_id, payment.processor_payment_id)
    for _ in range(2):
        assert await handled(desk, transactions, warn(desk, *objects)) == ("HANDLED", True)
    marked = await stands(desk, payment)
    assert replace(marked, early_fraud_warning=False, updated_at=payment.updated_at) == payment
    assert marked.early_fraud_warning
    assert desk.till.query(EVENTS) == [("made_with_stolen_card",)]
    seen: list[Counted] = []
    next_one = make_payment(merchant_id=desk.till.merchant, customer=Customer("cus_1"))
    await desk.till.open(next_one, velocity=(BY_CUSTOMER, BY_MERCHANT), seen=seen)
    assert seen[0][BY_CUSTOMER.name] == 1
    spent = seen[0][BY_MERCHANT.name]
    assert not isinstance(spent, int | str)
    assert {currency: (one.payments, one.amount) for currency, one in spent.items()} == {"USD": (1, 1999)}


async def test_a_later_settlement_does_not_forget_it(desk: Desk, transactions: ShortTransactions) -> None:
    payment, told = await desk.charged()
    await handled(desk, transactions, warn(desk, payment.processor_payment_id))
    await desk.follow.read(payment, told.processor_dispute_id)
    disputed = await stands(desk, payment)
    assert (disputed.early_fraud_warning, disputed.amount_disputed) == (True, 1999)


async def test_a_warning_of_another_payment_marks_nothing(desk: Desk, transactions: ShortTransactions) -> None:
    payment, other = await desk.till.charged(), await desk.till.charged()
    event = replace(warn(desk, other.processor_payment_id), processor_payment_id=payment.processor_payment_id)
    assert await handled(desk, transactions, event) == ("OutcomeUnknown", False)
    assert not (await stands(desk, payment)).early_fraud_warning


async def test_a_warning_waits_while_the_processor_does_not_answer(desk: Desk, transactions: ShortTransactions) -> None:
    payment = await desk.till.charged()
    event = warn(desk, payment.processor_payment_id)
    desk.bank.trouble = OutcomeUnknown("no answer")
    assert await handled(desk, transactions, event) == ("OutcomeUnknown", False)
    desk.bank.trouble = None
    await desk.handle(event)
    assert (await stands(desk, payment)).early_fraud_warning


@pytest.mark.parametrize("objects", [("ch_of_nobody",)])
async def test_a_payment_that_is_not_ours_is_looked_for_later(
    desk: Desk, transactions: ShortTransactions, objects: tuple[str, ...]
) -> None:
    assert await handled(desk, transactions, warn(desk, *objects)) == ("UNKNOWN_PAYMENT", False)
