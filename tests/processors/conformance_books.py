"""Conformance scenarios: what the processor keeps, and what it believes was taken and returned."""

from dataclasses import replace

import pytest

from server.domain.outcome import Approved
from server.processors.contract import OutcomeUnknown, Processor, Totals
from tests.processors.driver import Driver
from tests.processors.eventually import eventually
from tests.processors.requests_to_processors import make_capture, make_refund, make_void


class Books(Driver):
    """See the module."""

    async def test_the_fee_of_a_capture_is_told_at_once(self, adapter: Processor) -> None:
        """fee known"""
        _, taken = await self.take(adapter)
        assert taken.fee is not None
        assert (taken.fee.amount, taken.fee.currency) == (self.booked()["fees"], "USD")
        assert taken.fee.amount > 0 and taken.fee.reference
        read = await adapter.read_fee(self.account, taken.processor_payment_id, taken.processor_transaction_id)
        assert read == taken.fee

    async def test_a_hold_costs_nothing_until_a_part_of_it_is_captured(self, adapter: Processor) -> None:
        """fee known"""
        request, held = await self.take(adapter, capture=False)
        assert held.fee is None
        captured = await adapter.capture(self.account, make_capture(request, held, amount=500))
        assert isinstance(captured, Approved) and captured.fee is not None
        assert captured.fee.amount == self.booked()["fees"]

    async def test_a_fee_may_be_told_late(self, adapter: Processor) -> None:
        """fee late: the payment is as good, and nothing is made up meanwhile"""
        self.sandbox.fault(self.books, "late_fee", self.FEE, seconds=3600)
        _, taken = await self.take(adapter)
        assert (taken.captured, taken.fee) == (True, None)
        ids = (taken.processor_payment_id, taken.processor_transaction_id)
        assert await adapter.read_fee(self.account, *ids) is None

    async def test_a_late_fee_is_told_at_last(self, adapter: Processor) -> None:
        """fee late"""
        self.sandbox.fault(self.books, "late_fee", self.FEE, seconds=0.2)
        _, taken = await self.take(adapter)
        ids = (taken.processor_payment_id, taken.processor_transaction_id)
        fee = await eventually(lambda: adapter.read_fee(self.account, *ids), lambda found: found is not None)
        assert fee is not None and fee.amount == self.booked()["fees"]

    async def test_the_fee_of_what_is_not_there_is_not_told(self, adapter: Processor) -> None:
        """fee late"""
        with pytest.raises(OutcomeUnknown):
            await adapter.read_fee(self.account, "pi_0", "0")

    async def test_totals_count_what_was_taken_and_returned_whoever_asked(self, adapter: Processor) -> None:
        """totals after capture, refund and dashboard refund"""
        request, taken = await self.take(adapter)
        intent = taken.processor_payment_id
        assert await adapter.read_totals(self.account, intent) == Totals(1999, 0, "USD")
        await adapter.refund(self.account, make_refund(request, taken, amount=500))
        assert await adapter.read_totals(self.account, intent) == Totals(1999, 500, "USD")
        self.refund_by_hand(taken, 300)
        assert await adapter.read_totals(self.account, intent) == Totals(1999, 800, "USD")

    async def test_what_is_released_was_neither_taken_nor_returned(self, adapter: Processor) -> None:
        """totals after partial capture and void"""
        request, held = await self.take(adapter, capture=False)
        assert await adapter.read_totals(self.account, held.processor_payment_id) == Totals(0, 0, "USD")
        captured = await adapter.capture(self.account, make_capture(request, held, amount=1500))
        assert isinstance(captured, Approved)
        assert await adapter.read_totals(self.account, held.processor_payment_id) == Totals(1500, 0, "USD")
        await adapter.refund(
            self.account,
            replace(make_refund(request, captured, amount=200), capture_id=captured.processor_transaction_id),
        )
        assert await adapter.read_totals(self.account, held.processor_payment_id) == Totals(1500, 200, "USD")
        request, held = await self.take(adapter, capture=False)
        await adapter.void(self.account, make_void(request, held))
        assert await adapter.read_totals(self.account, held.processor_payment_id) == Totals(0, 0, "USD")

    async def test_totals_of_a_payment_that_waits_are_nothing(self, adapter: Processor) -> None:
        """totals"""
        outcome = await adapter.authorize(self.account, self.waiting())
        totals = await adapter.read_totals(self.account, outcome.processor_payment_id)  # type: ignore[union-attr]
        assert totals == Totals(0, 0, "USD")

    async def test_a_dispute_is_not_counted_as_a_refund(self, adapter: Processor) -> None:
        """totals after a lost dispute"""
        _, taken = await self.take(adapter)
        self.decide(self.dispute(taken), won=False)
        assert await adapter.read_totals(self.account, taken.processor_payment_id) == Totals(1999, 0, "USD")
