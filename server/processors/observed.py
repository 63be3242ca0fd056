"""Tells somebody how each call of an adapter ended and how long it took; `bootstrap` puts it around each adapter."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from server.processors.contract import (
    Account,
    Authorization,
    Capabilities,
    Capture,
    DisputeAnswer,
    DisputeStanding,
    Fee,
    FraudWarning,
    Outcome,
    OutcomeUnknown,
    Processor,
    ProcessorEvent,
    ProcessorRejected,
    ProcessorUnavailable,
    Refund,
    Totals,
    Void,
)

T = TypeVar("T")
Observe = Callable[[str, str, str, float], None]
"""Told the processor, the operation, its outcome by type (`Approved`, `OutcomeUnknown`, …) and its seconds."""


class Observed:
    """An adapter that is watched. See the module."""

    def __init__(self, adapter: Processor, observe: Observe) -> None:
        self._adapter, self._observe = adapter, observe
        self.name: str = adapter.name
        self.credential_names: tuple[str, ...] = adapter.credential_names
        self.capabilities: Capabilities = adapter.capabilities

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        return await self._watch("authorize", self._adapter.authorize(account, request))

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        return await self._watch("complete", self._adapter.complete(account, request))

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """See `Processor`."""
        return await self._watch("capture", self._adapter.capture(account, request))

    async def void(self, account: Account, request: Void) -> Outcome:
        """See `Processor`."""
        return await self._watch("void", self._adapter.void(account, request))

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """See `Processor`."""
        return await self._watch("refund", self._adapter.refund(account, request))

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """See `Processor`."""
        return await self._watch("resolve", self._adapter.resolve(account, request))

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> DisputeStanding:
        """See `Processor`."""
        return await self._watch("read_dispute", self._adapter.read_dispute(account, processor_dispute_id))

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """See `Processor`."""
        return await self._watch("answer_dispute", self._adapter.answer_dispute(account, answer))

    async def list_disputes(self, account: Account, since: datetime) -> Sequence[str]:
        """See `Processor`."""
        return await self._watch("list_disputes", self._adapter.list_disputes(account, since))

    async def read_warning(self, account: Account, processor_warning_id: str) -> FraudWarning:
        """See `Processor`."""
        return await self._watch("read_warning", self._adapter.read_warning(account, processor_warning_id))

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        """See `Processor`."""
        return await self._watch("read_fee", self._adapter.read_fee(account, processor_payment_id, capture_id))

    async def read_totals(self, account: Account, processor_payment_id: str) -> Totals:
        """See `Processor`."""
        return await self._watch("read_totals", self._adapter.read_totals(account, processor_payment_id))

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """See `Processor`; it asks nobody, so it is not watched."""
        return await self._adapter.parse_event(account, headers, body)

    async def close(self) -> None:
        """See `Processor`."""
        await self._adapter.close()

    async def _watch(self, operation: str, call: Awaitable[T]) -> T:
        started = time.perf_counter()
        outcome = "Defect"  # what no adapter should raise, or a call that was cancelled
        try:
            answer = await call
            outcome = type(answer).__name__
        except (OutcomeUnknown, ProcessorUnavailable, ProcessorRejected) as trouble:
            outcome = type(trouble).__name__
            raise
        finally:
            self._observe(self.name, operation, outcome, time.perf_counter() - started)
        return answer
