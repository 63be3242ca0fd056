"""Conformance scenarios: authorizing, capturing, voiding and refunding, when all goes its way."""

from dataclasses import replace
from uuid import uuid4

import pytest

from server.domain.decline import DeclineCode
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined
from server.processors.contract import (
    OutcomeUnknown,
    Processor,
)
from tests.processors.driver import Driver
from tests.processors.requests_to_processors import make_capture, make_refund, make_void


class Payments(Driver):
    """See the module."""

    async def test_approves_and_captures_at_once(self, adapter: Processor) -> None:
        """approve"""
        request, approved = await self.take(adapter)
        assert (approved.amount, approved.currency, approved.captured) == (request.amount, "USD", True)
        payment = self.booked()
        assert (payment["captured"], payment["reference"]) == (1999, str(request.transaction_id))

    async def test_holds_without_capturing(self, adapter: Processor) -> None:
        """approve"""
        _, approved = await self.take(adapter, capture=False)
        assert (approved.amount, approved.captured) == (1999, False)
        payment = self.booked()
        assert (payment["authorized"], payment["captured"]) == (1999, 0)

    async def test_declines_in_our_vocabulary(self, adapter: Processor) -> None:
        """decline"""
        request = self.bad()
        outcome = await self.finish(request, await adapter.authorize(self.account, request))
        assert isinstance(outcome, Declined), outcome
        assert outcome.failure.code in (DeclineCode.INSUFFICIENT_FUNDS, DeclineCode.CARD_DECLINED)
        assert outcome.failure.decline_code
        assert self.booked()["captured"] == 0

    async def test_waits_for_the_customer_then_completes(self, adapter: Processor) -> None:
        """3-D Secure or approval"""
        request = self.waiting()
        outcome = await adapter.authorize(self.account, request)
        assert isinstance(outcome, ActionRequired), outcome
        assert self.booked()["captured"] == 0
        known = replace(request, instrument=None, processor_payment_id=outcome.processor_payment_id)
        assert await adapter.complete(self.account, known) == outcome
        self.sandbox.decide(outcome.redirect_url, "approve")
        approved = await adapter.complete(self.account, known)
        assert isinstance(approved, Approved), approved
        assert approved.amount == self.booked()["captured"] == 1999
        assert await adapter.complete(self.account, known) == approved

    async def test_completes_no_payment_of_another_transaction(self, adapter: Processor) -> None:
        """3-D Secure or approval"""
        request = self.waiting()
        outcome = await adapter.authorize(self.account, request)
        assert isinstance(outcome, ActionRequired)
        self.sandbox.decide(outcome.redirect_url, "approve")
        other = replace(request, transaction_id=uuid4(), processor_payment_id=outcome.processor_payment_id)
        with pytest.raises(OutcomeUnknown):
            await adapter.complete(self.account, other)

    async def test_calls_off_a_payment_that_waits(self, adapter: Processor) -> None:
        """void"""
        request = self.waiting()
        outcome = await adapter.authorize(self.account, request)
        assert isinstance(outcome, ActionRequired)
        void = self.call_off(request, outcome)
        assert await adapter.void(self.account, void) == Cancelled(processor_payment_id=outcome.processor_payment_id)
        assert await adapter.resolve(self.account, void) == Cancelled(processor_payment_id=outcome.processor_payment_id)
        assert self.booked()["captured"] == 0

    async def test_repeats_without_charging_again(self, adapter: Processor) -> None:
        """idempotent repeat"""
        request, approved = await self.take(adapter)
        again = await self.finish(request, await adapter.authorize(self.account, request))
        assert again == approved
        assert self.booked()["captured"] == 1999

    async def test_captures_a_part(self, adapter: Processor) -> None:
        """partial capture"""
        request, approved = await self.take(adapter, capture=False)
        captured = await adapter.capture(self.account, make_capture(request, approved, amount=1500))
        assert isinstance(captured, Approved), captured
        assert (captured.amount, captured.currency, captured.captured) == (1500, "USD", True)
        assert self.booked()["captured"] == 1500

    async def test_captures_once(self, adapter: Processor) -> None:
        """double capture: a second one is refused, or told what stands; money is taken once"""
        request, approved = await self.take(adapter, capture=False)
        first = make_capture(request, approved)
        captured = await adapter.capture(self.account, first)
        assert await adapter.capture(self.account, first) == captured
        second = await adapter.capture(self.account, make_capture(request, approved))
        if isinstance(second, Declined):
            assert second.failure.code is DeclineCode.OPERATION_REFUSED
        else:
            assert isinstance(second, Approved) and isinstance(captured, Approved)
            assert (second.processor_transaction_id, second.amount) == (captured.processor_transaction_id, 1999)
        assert self.booked()["captured"] == 1999

    async def test_voids_a_hold(self, adapter: Processor) -> None:
        """void"""
        request, approved = await self.take(adapter, capture=False)
        void = make_void(request, approved)
        assert await adapter.void(self.account, void) == Cancelled(processor_payment_id=approved.processor_payment_id)
        assert isinstance(await adapter.void(self.account, make_void(request, approved)), Cancelled)
        captured = await adapter.capture(self.account, make_capture(request, approved))
        assert isinstance(captured, Cancelled | Declined), captured
        assert self.booked()["captured"] == 0

    async def test_voids_nothing_that_is_captured(self, adapter: Processor) -> None:
        """void"""
        request, approved = await self.take(adapter, capture=False)
        await adapter.capture(self.account, make_capture(request, approved))
        refused = await adapter.void(self.account, make_void(request, approved))
        assert isinstance(refused, Declined), refused
        assert refused.failure.code is DeclineCode.OPERATION_REFUSED

    async def test_refunds_in_parts_and_never_beyond(self, adapter: Processor) -> None:
        """partial refund, over-refund"""
        request, captured = await self.take(adapter)
        for amount in (500, 1000):
            refunded = await adapter.refund(self.account, make_refund(request, captured, amount=amount))
            assert isinstance(refunded, Approved), refunded
            assert (refunded.amount, refunded.currency) == (amount, "USD")
        refused = await adapter.refund(self.account, make_refund(request, captured, amount=500))
        assert isinstance(refused, Declined), refused
        assert refused.failure.code is DeclineCode.OPERATION_REFUSED
        assert self.booked()["refunded"] == 1500

    async def test_repeats_a_refund_without_paying_twice(self, adapter: Processor) -> None:
        """idempotent repeat"""
        request, captured = await self.take(adapter)
        refund = make_refund(request, captured, amount=500)
        refunded = await adapter.refund(self.account, refund)
        assert await adapter.refund(self.account, refund) == refunded
        assert await adapter.resolve(self.account, refund) == refunded
        assert self.booked()["refunded"] == 500
