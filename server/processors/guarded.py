"""Puts a circuit breaker in front of any adapter, which knows nothing of it; `bootstrap` wraps each adapter in it.

A new authorization, capture, void or refund is refused as `ProcessorUnavailable` while the circuit of its account is
open: nothing was sent, so nothing can have happened. `complete` and `resolve` pass: they ask about what exists
already, recovery paces them, and their answer decides about money that may have moved. Webhooks pass, too.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from server.crash_points import around_calls
from server.processors.circuit import Circuit
from server.processors.contract import (
    Account,
    Authorization,
    Capabilities,
    Capture,
    Outcome,
    OutcomeUnknown,
    Processor,
    ProcessorBusy,
    ProcessorEvent,
    ProcessorRejected,
    ProcessorUnavailable,
    Refund,
    Void,
)

_log = logging.getLogger(__name__)

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

    async def _ask(self, question: Awaitable[Outcome]) -> Outcome:
        """Asks about something that may have happened already: no failure of the question is an answer to it."""
        try:
            return await question
        except (ProcessorUnavailable, ProcessorRejected) as error:
            _log.warning("%s could not be asked what became of a transaction: %s", self.name, error)
            raise OutcomeUnknown(f"{self.name} could not be asked") from None
