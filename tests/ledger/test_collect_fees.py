"""Fees that were not known when their capture settled: asked for again and again, booked once, told to people."""

from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text

from server.domain.errors import KassaError, Reason
from server.domain.fee import Fee
from server.domain.payment import Payment
from server.processors.contract import Account, OutcomeUnknown, Processor, ProcessorRejected, ProcessorUnavailable
from server.storage.short_transactions import ShortTransactions
from server.usecases.collect_fees import CollectFees
from tests.storage.conftest import Till

BOOKED = "SELECT amount, currency FROM ledger_entries WHERE merchant_id = :merchant AND account = 'fees'"
DUE = "SELECT attempts FROM fees_due WHERE merchant_id = :merchant"
ATTENTION = "SELECT kind, detail FROM attention_items WHERE merchant_id = :merchant"


@dataclass
class Teller:
    """A processor, and where its account is looked up, that says of fees what a test dictates."""

    answer: Fee | Exception | None = None
    asked: list[tuple[UUID, str, str]] = field(default_factory=list)

    async def by_id(self, account_id: UUID) -> Account:
        return Account(account_id, None, "stripe", True, {})

    async def for_merchant(self, merchant_id: UUID, processor: str) -> Account:
        raise AssertionError("a payment's account is known")

    def get(self, name: str) -> Processor:
        assert name == "stripe"
        return cast(Processor, self)

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        self.asked.append((account.id, processor_payment_id, capture_id))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Round:
    """Runs the sweep when its time has come."""

    till: Till
    teller: Teller
    collect: CollectFees

    async def __call__(self) -> None:
        with self.till.engine.begin() as connection:
            # Other tests' captures are not this round's.
            mine = "next_attempt_at = CASE WHEN merchant_id = :m THEN now() ELSE 'infinity' END"
            connection.execute(text(f"UPDATE fees_due SET {mine}"), {"m": self.till.merchant})
        await self.collect()

    def age(self, days: int) -> None:
        """Makes the capture older."""
        with self.till.engine.begin() as connection:
            older = "UPDATE fees_due SET created_at = now() - :days * interval '1 day' WHERE merchant_id = :m"
            connection.execute(text(older), {"m": self.till.merchant, "days": days})


@pytest.fixture
async def sweep(till: Till, transactions: ShortTransactions) -> Round:
    teller = Teller()
    return Round(till, teller, CollectFees(till.store, transactions, teller, teller))


async def test_a_fee_is_booked_once_it_is_known_and_not_asked_for_again(sweep: Round) -> None:
    payment: Payment = await sweep.till.charged()
    await sweep()
    assert (sweep.till.query(BOOKED), sweep.till.query(DUE)) == ([], [(1,)])
    sweep.teller.answer = Fee(61, "USD", "txn_1")
    await sweep()
    await sweep()
    assert (sweep.till.query(BOOKED), sweep.till.query(DUE)) == ([(61, "USD")], [])
    asked = (payment.processor_account_id, payment.processor_payment_id, payment.processor_capture_id)
    assert sweep.teller.asked == [asked, asked]


async def test_a_processor_that_keeps_nothing_is_not_asked_again(sweep: Round) -> None:
    await sweep.till.charged()
    sweep.teller.answer = Fee(0, "USD", "txn_1")
    await sweep()
    assert (sweep.till.query(BOOKED), sweep.till.query(DUE)) == ([], [])


@pytest.mark.parametrize(
    "trouble",
    [
        OutcomeUnknown("lost"),
        ProcessorUnavailable("away"),
        ProcessorRejected("expired_key"),
        KassaError(Reason.PROCESSOR_NOT_CONFIGURED, "Gone."),
    ],
)
async def test_a_processor_that_cannot_be_asked_is_asked_later(sweep: Round, trouble: Exception) -> None:
    await sweep.till.charged()
    sweep.teller.answer = trouble
    await sweep()
    assert (sweep.till.query(BOOKED), sweep.till.query(DUE)) == ([], [(1,)])
    assert sweep.till.query(ATTENTION) == []


@pytest.mark.parametrize("answer", [None, ProcessorRejected("no_such_charge")])
async def test_people_are_told_once_of_a_fee_that_is_not_told_for_a_month(sweep: Round, answer: Any) -> None:
    payment = await sweep.till.charged()
    sweep.teller.answer = answer
    sweep.age(31)
    for _ in range(2):
        await sweep()
    [(kind, detail)] = sweep.till.query(ATTENTION)
    assert kind == "FEE_UNKNOWN"
    assert payment.processor_capture_id in str(detail)
    sweep.teller.answer = Fee(61, "USD", "txn_1")
    await sweep()
    assert sweep.till.query(BOOKED) == [(61, "USD")], "it is asked for all the same"


async def test_a_defect_is_raised_after_the_others_were_asked(sweep: Round) -> None:
    for _ in range(3):
        await sweep.till.charged()
    sweep.teller.answer = ValueError("a defect")
    with pytest.raises(ValueError, match="a defect"):
        await sweep()
    assert len(sweep.teller.asked) == 3
