"""What every adapter must do: the same named scenarios against the real sandbox, one subclass for each processor.

A subclass names how its processor is driven; the scenarios know the contract and the processor's books alone.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from server.domain.decline import DeclineCode
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined, Outcome, Pending
from server.processors.contract import (
    Account,
    Authorization,
    EventRejected,
    OutcomeUnknown,
    Processor,
    ProcessorRejected,
    ProcessorUnavailable,
    Void,
)
from tests.processors.opened import opened
from tests.processors.paypal_authority import Authority
from tests.processors.requests_to_processors import make_capture, make_refund, make_void
from tests.processors.sandbox_process import Json, Sandbox


class Conformance(ABC):
    """The suite. Operations are named as the sandbox's faults name them."""

    PROCESSOR: str
    AUTHORIZE: str
    CAPTURE: str
    VOID: str
    REFUND: str

    sandbox: Sandbox
    account: Account
    books: str
    """The sandbox's id of the account."""

    @abstractmethod
    def make_adapter(self, api_base: str, **limits: Any) -> Processor:
        """An adapter that reaches its processor at this address."""

    @abstractmethod
    def make_account(self, sandbox: Sandbox) -> tuple[str, Mapping[str, str]]:
        """Registers an account; returns the sandbox's id and our credentials."""

    @abstractmethod
    def good(self, **changes: Any) -> Authorization:
        """An authorization that succeeds."""

    @abstractmethod
    def bad(self) -> Authorization:
        """An authorization that the customer's bank declines for want of money."""

    @abstractmethod
    def waiting(self, **changes: Any) -> Authorization:
        """An authorization that waits for its customer."""

    @abstractmethod
    async def finish(self, request: Authorization, outcome: Outcome) -> Outcome:
        """Does the customer's part, where the method has one, and carries on."""

    @abstractmethod
    def signed(self, event: Json, *, sent_at: datetime | None = None, secret: str | None = None) -> Any:
        """Headers and body of a webhook, signed as the processor signs."""

    @abstractmethod
    def event(self, request: Authorization, approved: Approved) -> Json:
        """An event about a payment."""

    @pytest.fixture(autouse=True)
    def _account(self, sandbox: Sandbox, authority: Authority) -> None:
        self.sandbox, self.authority = sandbox, authority
        self.books, credentials = self.make_account(sandbox)
        self.account = Account(uuid4(), uuid4(), self.PROCESSOR, True, credentials)

    @pytest.fixture
    async def adapter(self, _account: None) -> AsyncIterator[Processor]:
        """The adapter under test."""
        async with opened(self.make_adapter(self.sandbox.url)) as found:
            self._adapter = found
            yield found

    async def take(self, adapter: Processor, **changes: Any) -> tuple[Authorization, Approved]:
        """Brings a good payment to its approval."""
        request = self.good(**changes)
        outcome = await self.finish(request, await adapter.authorize(self.account, request))
        assert isinstance(outcome, Approved), outcome
        return request, outcome

    @staticmethod
    def call_off(request: Authorization, waiting: ActionRequired) -> Void:
        """Calls off a payment that waits for its customer."""
        unknown_hold = Approved(
            processor_payment_id=waiting.processor_payment_id, processor_transaction_id="", amount=1, currency="USD"
        )
        return make_void(request, unknown_hold)

    def booked(self) -> Json:
        """The account's only payment in the processor's books."""
        (payment,) = self.sandbox.payments(self.books)
        return payment

    # Authorization

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

    # Capture, void, refund

    async def test_captures_a_part(self, adapter: Processor) -> None:
        """partial capture"""
        request, approved = await self.take(adapter, capture=False)
        captured = await adapter.capture(self.account, make_capture(request, approved, amount=1500))
        assert isinstance(captured, Approved), captured
        assert (captured.amount, captured.currency, captured.captured) == (1500, "USD", True)
        assert self.booked()["captured"] == 1500

    async def test_captures_once(self, adapter: Processor) -> None:
        """double capture"""
        request, approved = await self.take(adapter, capture=False)
        first = make_capture(request, approved)
        captured = await adapter.capture(self.account, first)
        assert await adapter.capture(self.account, first) == captured
        refused = await adapter.capture(self.account, make_capture(request, approved))
        assert isinstance(refused, Declined), refused
        assert refused.failure.code is DeclineCode.OPERATION_REFUSED
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

    # When answers are lost

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
        refund = make_refund(request, captured, amount=500, first_sent_at=datetime.now(UTC) - timedelta(days=60))
        with pytest.raises(OutcomeUnknown):
            await adapter.resolve(self.account, refund)
        assert self.booked()["refunded"] == 0

    # Webhooks

    async def test_a_good_webhook_names_its_payment(self, adapter: Processor) -> None:
        """webhook good, duplicated"""
        request, approved = await self.take(adapter)
        event = self.event(request, approved)
        headers, body = self.signed(event)
        found = await adapter.parse_event(self.account, headers, body)
        assert found.id == event["id"]
        assert found.transaction_id == request.transaction_id
        assert found.processor_payment_id == approved.processor_payment_id
        assert found.created_at.tzinfo is not None
        assert await adapter.parse_event(self.account, headers, body) == found

    async def test_a_forged_webhook_is_rejected(self, adapter: Processor) -> None:
        """webhook forged"""
        request, approved = await self.take(adapter)
        headers, body = self.signed(self.event(request, approved))
        other_headers, _ = self.signed(self.event(request, approved), secret="another")
        attempts = [
            (headers, body.replace(b"1999", b"1")),
            (headers, body + b" "),
            (headers, b"\xff\xfe"),
            (other_headers, body),
            ({}, body),
        ]
        attempts += [({**headers, name: ""}, body) for name in headers]
        attempts += [({**headers, name: "\u00e9|,="}, body) for name in headers]
        for one, sent in attempts:
            with pytest.raises(EventRejected) as rejected:
                await adapter.parse_event(self.account, one, sent)
            assert not rejected.value.stale

    async def test_a_stale_webhook_is_told_apart(self, adapter: Processor) -> None:
        """webhook stale"""
        request, approved = await self.take(adapter)
        long_ago = datetime.now(UTC) - timedelta(days=4)
        headers, body = self.signed(self.event(request, approved), sent_at=long_ago)
        with pytest.raises(EventRejected) as rejected:
            await adapter.parse_event(self.account, headers, body)
        assert rejected.value.stale

    async def test_an_event_of_any_age_is_read(self, adapter: Processor) -> None:
        """webhook reordered: an event says which object to read, never how it stands"""
        request, approved = await self.take(adapter)
        event = self.event(request, approved)
        first = await adapter.parse_event(self.account, *self.signed(event))
        second = await adapter.parse_event(self.account, *self.signed({**event, "id": f"{event['id']}0"}))
        assert replace(second, id=first.id) == first

    async def test_an_unreadable_webhook_is_rejected(self, adapter: Processor) -> None:
        """webhook forged"""
        unreadable: tuple[Any, ...] = ([], {}, {"id": 7}, {"object": "event"}, {"event_type": "X", "resource": None})
        for event in unreadable:
            headers, body = self.signed(event)
            with pytest.raises(EventRejected):
                await adapter.parse_event(self.account, headers, body)
