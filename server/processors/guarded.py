"""Puts a circuit breaker in front of any adapter, which knows nothing of it; `bootstrap` wraps each adapter in it.

A new authorization, capture, void or refund is refused as `ProcessorUnavailable` while the circuit of its account is
open: nothing was sent, so nothing can have happened. `complete`, `resolve` and the reads pass: they ask about what
exists already, recovery paces them, and their answer decides about money that may have moved. Webhooks pass, too. So
does the answer to a dispute: it is rare, has a last day, and may be repeated.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from server.crash_points import around_calls
from server.processors.circuit import Circuit
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
    ProcessorBusy,
    ProcessorEvent,
    ProcessorRejected,
    ProcessorUnavailable,
    Refund,
    Totals,
    Void,
)

_log = logging.getLogger(__name__)

T = TypeVar("T")

THRESHOLD = 10
"""Consecutive calls of an account without an answer that open its circuit."""
PAUSE_S = 10.0
"""Seconds between probes."""


@around_calls(besides={"close"})
class Guarded:
    """An adapter behind circuit breakers, one for each account. See the module.

    Args:
        new_circuit: Makes the circuit of an account when it is first seen.
    """

    def __init__(
        self, adapter: Processor, new_circuit: Callable[[], Circuit] = lambda: Circuit(THRESHOLD, PAUSE_S)
    ) -> None:
        self._adapter, self._new_circuit = adapter, new_circuit
        self._circuits: dict[UUID, Circuit] = {}
        self.name: str = adapter.name
        self.credential_names: tuple[str, ...] = adapter.credential_names
        self.capabilities: Capabilities = adapter.capabilities

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        return await self._call(account, lambda: self._adapter.authorize(account, request))

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """See `Processor`."""
        return await self._call(account, lambda: self._adapter.capture(account, request))

    async def void(self, account: Account, request: Void) -> Outcome:
        """See `Processor`."""
        return await self._call(account, lambda: self._adapter.void(account, request))

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """See `Processor`."""
        return await self._call(account, lambda: self._adapter.refund(account, request))

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        return await self._ask(self._adapter.complete(account, request))

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """See `Processor`."""
        return await self._ask(self._adapter.resolve(account, request))

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> DisputeStanding:
        """See `Processor`."""
        return await self._ask(self._adapter.read_dispute(account, processor_dispute_id))

    async def list_disputes(self, account: Account, since: datetime) -> Sequence[str]:
        """See `Processor`."""
        return await self._ask(self._adapter.list_disputes(account, since))

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """See `Processor`.

        Raises:
            OutcomeUnknown: It must be repeated; also where nothing was sent, since an earlier attempt may have been.
            ProcessorRejected: The dispute waits on, and this answer will not do: people must write another.
        """
        try:
            return await self._adapter.answer_dispute(account, answer)
        except ProcessorUnavailable as error:
            _log.warning("%s could not be told the answer to a dispute: %s", self.name, error)
            raise OutcomeUnknown(f"{self.name} could not be told") from None

    async def read_warning(self, account: Account, processor_warning_id: str) -> FraudWarning:
        """See `Processor`."""
        return await self._ask(self._adapter.read_warning(account, processor_warning_id))

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        """See `Processor`."""
        return await self._ask(self._adapter.read_fee(account, processor_payment_id, capture_id))

    async def read_totals(self, account: Account, processor_payment_id: str) -> Totals:
        """See `Processor`."""
        return await self._ask(self._adapter.read_totals(account, processor_payment_id))

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """See `Processor`."""
        return await self._adapter.parse_event(account, headers, body)

    async def close(self) -> None:
        """See `Processor`."""
        await self._adapter.close()

    async def _call(self, account: Account, call: Callable[[], Awaitable[Outcome]]) -> Outcome:
        circuit = self._circuits.setdefault(account.id, self._new_circuit())
        if not circuit.allows():
            raise ProcessorUnavailable(f"{self.name} did not answer lately; its circuit is open")
        try:
            outcome = await call()
        except ProcessorBusy:
            raise
        except (OutcomeUnknown, ProcessorUnavailable) as error:
            if circuit.failed():
                _log.error("circuit of %s account %s opened: %s", self.name, account.id, error)
            raise
        except ProcessorRejected:
            circuit.succeeded()
            raise
        circuit.succeeded()
        return outcome

    async def _ask(self, question: Awaitable[T]) -> T:
        """Asks about something that may have happened already: no failure of the question is an answer to it."""
        try:
            return await question
        except (ProcessorUnavailable, ProcessorRejected) as error:
            _log.warning("%s could not be asked: %s", self.name, error)
            raise OutcomeUnknown(f"{self.name} could not be asked") from None
