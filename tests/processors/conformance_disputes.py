"""Conformance scenarios: disputes, from their opening to their end, whoever answers."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.dispute import DisputeReason, DisputeStanding, DisputeState
from server.processors.contract import DisputeAnswer, Evidence, OutcomeUnknown, Processor, ProcessorRejected
from tests.processors.driver import Driver

EVIDENCE = Evidence(
    explanation="The parcel was signed for.", shipping_carrier="DHL", shipping_tracking_number="JD01460"
)


def answer(dispute_id: str, evidence: Evidence | None) -> DisputeAnswer:
    """An answer to a dispute, always under the same key."""
    return DisputeAnswer(
        key=f"answer-{dispute_id}-{evidence is None}", processor_dispute_id=dispute_id, evidence=evidence
    )


class Disputes(Driver):
    """See the module."""

    async def test_an_open_dispute_takes_or_holds_the_money_at_once(self, adapter: Processor) -> None:
        """dispute opened"""
        _, captured = await self.take(adapter)
        stands = await adapter.read_dispute(self.account, dispute := self.dispute(captured))
        assert (stands.processor_dispute_id, stands.state) == (dispute, DisputeState.NEEDS_RESPONSE)
        assert (stands.amount, stands.currency, stands.inquiry) == (1999, "USD", False)
        assert stands.withdrawn + stands.held == 1999
        assert stands.reason is DisputeReason.PRODUCT_NOT_RECEIVED and stands.reason_code
        assert stands.processor_payment_id in (captured.processor_payment_id, captured.processor_transaction_id)
        assert stands.respond_by is not None and stands.respond_by > stands.opened_at
        self.agrees(stands)

    async def test_disputes_are_listed_from_a_moment_on(
        self, adapter: Processor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """dispute opened: on several pages"""
        monkeypatch.setattr("server.processors.stripe.disputes._PAGE", 2)
        monkeypatch.setattr("server.processors.paypal.disputes._PAGE", "2")
        made = [self.dispute((await self.take(adapter))[1]) for _ in range(3)]
        now = datetime.now(UTC)
        assert set(made) <= set(await adapter.list_disputes(self.account, now - timedelta(hours=1)))
        assert not set(made) & set(await adapter.list_disputes(self.account, now + timedelta(hours=1)))

    async def test_a_part_may_be_disputed(self, adapter: Processor) -> None:
        """dispute opened"""
        _, captured = await self.take(adapter)
        stands = await adapter.read_dispute(self.account, self.dispute(captured, amount=500))
        assert (stands.amount, stands.withdrawn + stands.held) == (500, 500)
        self.agrees(stands)

    async def test_evidence_is_submitted_and_reviewed(self, adapter: Processor) -> None:
        """evidence submitted"""
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured)
        stands = await adapter.answer_dispute(self.account, answer(dispute, EVIDENCE))
        assert (stands.state, stands.respond_by) == (DisputeState.UNDER_REVIEW, None)
        assert stands.withdrawn + stands.held == 1999
        assert await adapter.read_dispute(self.account, dispute) == stands

    @pytest.mark.parametrize(
        ("won", "state", "withdrawn"), [(True, DisputeState.WON, 0), (False, DisputeState.LOST, 1999)]
    )
    async def test_evidence_wins_or_loses(
        self, adapter: Processor, won: bool, state: DisputeState, withdrawn: int
    ) -> None:
        """evidence wins, evidence loses: fees that the processor keeps stay"""
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured)
        await adapter.answer_dispute(self.account, answer(dispute, EVIDENCE))
        self.decide(dispute, won=won)
        stands = await adapter.read_dispute(self.account, dispute)
        assert (stands.state, stands.withdrawn, stands.held, stands.respond_by) == (state, withdrawn, 0, None)
        self.agrees(stands)

    async def test_an_accepted_dispute_is_lost(self, adapter: Processor) -> None:
        """accepted"""
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured)
        stands = await adapter.answer_dispute(self.account, answer(dispute, None))
        assert (stands.state, stands.withdrawn, stands.held) == (DisputeState.LOST, 1999, 0)
        self.agrees(stands)

    async def test_an_answer_is_repeated_without_harm(self, adapter: Processor) -> None:
        """lost reply of an answer, repeated: each time it is told how the dispute stands by then"""
        for operation, evidence in ((self.SUBMIT_EVIDENCE, EVIDENCE), (self.ACCEPT_DISPUTE, None)):
            _, captured = await self.take(adapter)
            dispute = self.dispute(captured)
            for kind in ("lost_request", "lost_reply"):
                self.sandbox.fault(self.books, kind, operation)
                with pytest.raises(OutcomeUnknown):
                    await adapter.answer_dispute(self.account, answer(dispute, evidence))
            repeat = await adapter.answer_dispute(self.account, answer(dispute, evidence))
            assert repeat.state is (DisputeState.UNDER_REVIEW if evidence else DisputeState.LOST)
            if evidence:
                self.decide(dispute, won=True)
                repeat = await adapter.answer_dispute(self.account, answer(dispute, evidence))
                assert (repeat.state, repeat.withdrawn) == (DisputeState.WON, 0)

    async def test_an_answer_that_comes_too_late_is_told_how_it_ended(self, adapter: Processor) -> None:
        """answered after its end"""
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured)
        self.decide(dispute, won=False)
        for evidence in (EVIDENCE, None):
            stands = await adapter.answer_dispute(self.account, answer(dispute, evidence))
            assert stands.state is DisputeState.LOST

    async def test_evidence_that_says_nothing_is_never_sent(self, adapter: Processor) -> None:
        """evidence submitted"""
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured)
        with pytest.raises(ProcessorRejected):
            await adapter.answer_dispute(self.account, answer(dispute, Evidence()))
        assert (await adapter.read_dispute(self.account, dispute)).state is DisputeState.NEEDS_RESPONSE

    async def test_an_inquiry_may_end_or_become_a_dispute(self, adapter: Processor) -> None:
        """inquiry"""
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured, inquiry=True)
        asked = await adapter.read_dispute(self.account, dispute)
        assert (asked.inquiry, asked.state, asked.withdrawn) == (True, DisputeState.NEEDS_RESPONSE, 0)
        self.agrees(asked)
        self.escalate(dispute)
        grown = await adapter.read_dispute(self.account, dispute)
        assert (grown.inquiry, grown.state) == (False, DisputeState.NEEDS_RESPONSE)
        assert grown.withdrawn + grown.held == 1999
        self.agrees(grown)
        _, captured = await self.take(adapter)
        dispute = self.dispute(captured, inquiry=True)
        self.withdraw(dispute)
        ended = await adapter.read_dispute(self.account, dispute)
        assert (ended.state, ended.withdrawn, ended.held) == (DisputeState.CLOSED, 0, 0)

    async def test_a_dispute_of_another_account_is_not_told(self, adapter: Processor) -> None:
        """dispute unknown"""
        with pytest.raises(OutcomeUnknown):
            await adapter.read_dispute(self.account, "PP-D-0")

    async def test_wrong_credentials_are_rejected_for_disputes_and_books(self, adapter: Processor) -> None:
        """dispute unknown: our own mistake"""
        wrong = replace(self.account, id=self.account.merchant_id or self.account.id)
        wrong = replace(wrong, credentials=dict.fromkeys(self.account.credentials, "wrong"))
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: adapter.read_dispute(wrong, "PP-D-0"),
            lambda: adapter.answer_dispute(wrong, answer("PP-D-0", None)),
            lambda: adapter.read_fee(wrong, "pi_1", "1"),
            lambda: adapter.read_totals(wrong, "pi_1"),
        )
        for call in calls:
            with pytest.raises(ProcessorRejected):
                await call()

    def agrees(self, stands: DisputeStanding) -> None:
        """The processor's books, which the adapter does not read, say the same of the money."""
        (payment,) = (one for one in self.sandbox.payments(self.books) if one["disputes"])
        assert payment["disputed"] == stands.withdrawn
        assert payment["held"] == stands.held
        assert sum(fee.amount for fee in stands.fees) == payment["dispute_fees"]
        assert len({fee.reference for fee in stands.fees}) == len(stands.fees)
