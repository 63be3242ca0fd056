"""Conformance scenarios: answers that are lost, late, refused or not understood."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from server.domain.outcome import Approved, Cancelled, Pending
from server.processors.contract import (
    OutcomeUnknown,
    Processor,
    ProcessorRejected,
    ProcessorUnavailable,
)
from tests.processors.driver import Driver
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_capture, make_refund, make_void


class LostAnswers(Driver):
    """See the module."""

    async def test_a_lost_reply_is_unknown_and_resolved_by_repeating(self, adapter: Processor) -> None:
        """lost reply"""
        request, approved = await self.take(adapter, capture=False)
        operations = (
            (self.CAPTURE, adapter.capture, make_capture(request, approved, amount=1500)),
            (self.REFUND, adapter.refund, make_refund(request, approved, amount=600)),
        )
        captured = approved
        for operation, act, follow_up in operations:
            asked: Any = follow_up
            if operation == self.REFUND:
                asked = replace(asked, capture_id=captured.processor_transaction_id)
            self.sandbox.fault(self.books, "lost_reply", operation)
            with pytest.raises(OutcomeUnknown):
                await act(self.account, asked)
            resolved = await adapter.resolve(self.account, asked)
            assert isinstance(resolved, Approved), resolved
            assert resolved.amount == asked.amount
            captured = resolved
        payment = self.booked()
        assert (payment["captured"], payment["refunded"]) == (1500, 600)

    async def test_a_lost_request_is_unknown_and_done_by_resolving(self, adapter: Processor) -> None:
        """lost reply"""
        request, approved = await self.take(adapter, capture=False)
        capture = make_capture(request, approved)
        self.sandbox.fault(self.books, "lost_request", self.CAPTURE)
        with pytest.raises(OutcomeUnknown):
            await adapter.capture(self.account, capture)
        assert self.booked()["captured"] == 0
        assert isinstance(await adapter.resolve(self.account, capture), Approved)
        assert self.booked()["captured"] == 1999

    async def test_a_lost_void_is_resolved(self, adapter: Processor) -> None:
        """lost reply"""
        request, approved = await self.take(adapter, capture=False)
        void = make_void(request, approved)
        self.sandbox.fault(self.books, "lost_reply", self.VOID)
        with pytest.raises(OutcomeUnknown):
            await adapter.void(self.account, void)
        assert isinstance(await adapter.resolve(self.account, void), Cancelled)

    async def test_an_authorization_that_never_came_can_never_run_once_resolved(self, adapter: Processor) -> None:
        """lost reply: whatever resolve says of it, the original sent late charges nobody twice"""
        request = self.good()
        self.sandbox.fault(self.books, "lost_request", self.AUTHORIZE)
        with pytest.raises(OutcomeUnknown):
            await adapter.authorize(self.account, request)
        await adapter.resolve(self.account, replace(request, instrument=None))
        with suppress(OutcomeUnknown):
            await adapter.authorize(self.account, request)
        assert all(payment["captured"] == 0 for payment in self.sandbox.payments(self.books))
        assert len(self.sandbox.payments(self.books)) == 1

    @pytest.mark.parametrize("status", [500, 503])
    async def test_a_server_error_is_unknown(self, adapter: Processor, status: int) -> None:
        """lost reply"""
        self.sandbox.fault(self.books, "error", self.AUTHORIZE, status=status)
        with pytest.raises(OutcomeUnknown):
            await adapter.authorize(self.account, self.good())

    async def test_a_rate_limit_means_that_nothing_was_done(self, adapter: Processor) -> None:
        """lost reply"""
        self.sandbox.fault(self.books, "error", self.AUTHORIZE, status=429)
        with pytest.raises(ProcessorUnavailable):
            await adapter.authorize(self.account, self.good())

    async def test_a_slow_answer_is_unknown_after_the_deadline(self) -> None:
        """lost reply"""
        self.sandbox.fault(self.books, "latency", self.AUTHORIZE, seconds=5)
        async with opened(self.make_adapter(self.sandbox.url, deadline_s=0.3)) as adapter:
            with pytest.raises(OutcomeUnknown):
                await adapter.authorize(self.account, self.good())

    async def test_an_unreachable_processor_was_sent_nothing(self, unused_tcp_port: int) -> None:
        """lost reply"""
        async with opened(self.make_adapter(f"http://127.0.0.1:{unused_tcp_port}")) as adapter:
            with pytest.raises(ProcessorUnavailable):
                await adapter.authorize(self.account, self.good())

    async def test_an_unknown_status_is_pending_and_seen(
        self, adapter: Processor, caplog: pytest.LogCaptureFixture
    ) -> None:
        """unknown status"""
        self.sandbox.fault(self.books, "unknown_status", self.AUTHORIZE)
        outcome = await adapter.authorize(self.account, self.good())
        assert isinstance(outcome, Pending), outcome
        assert outcome.processor_payment_id
        assert [record.levelname for record in caplog.records if "quantum_superposition" in record.message] == ["ERROR"]

    async def test_wrong_credentials_are_rejected(self, adapter: Processor) -> None:
        """decline: our own mistake is not the customer's"""
        wrong = dict.fromkeys(self.account.credentials, "wrong")
        with pytest.raises(ProcessorRejected):
            await adapter.authorize(replace(self.account, id=uuid4(), credentials=wrong), self.good())

    async def test_an_old_key_is_not_repeated(self, adapter: Processor) -> None:
        """lost reply"""
        request, captured = await self.take(adapter)
        refund = make_refund(request, captured, amount=500, key_age=timedelta(days=60))
        with pytest.raises(OutcomeUnknown):
            await adapter.resolve(self.account, refund)
        assert self.booked()["refunded"] == 0
