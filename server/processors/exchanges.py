"""Calls to processors as they are made: adapters tell of each, `usecases.act` collects them for the payment's record.

    with recording() as calls:          # a use case
        await adapter.capture(…)        # …somewhere below: with exchange(…) as told: … told.answered(…)

The collector is a context variable, so that no signature of the contract carries it; tasks made below see it as well.
Where nobody records, nothing is redacted either.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from server.clock import utc_now
from server.domain.ids import new_id
from server.domain.processor_call import CallError, ProcessorCall
from server.processors.contract import ProcessorBusy, ProcessorRejected, ProcessorUnavailable
from server.processors.redaction import plain

Json = Mapping[str, Any]
Redacted = Callable[[], Json]
"""Redacts a side of the call; asked only where somebody records."""

_collector: ContextVar[list[ProcessorCall] | None] = ContextVar("processor_calls", default=None)


@contextmanager
def recording() -> Iterator[list[ProcessorCall]]:
    """Collects the calls that are made inside of the block, in the order in which they end."""
    calls: list[ProcessorCall] = []
    token = _collector.set(calls)
    try:
        yield calls
    finally:
        _collector.reset(token)


@dataclass(slots=True)
class Told:
    """What became of a call; where the adapter tells nothing, the wait for it was given up."""

    status: int | None = None
    response: Redacted | None = None
    request_id: str = ""
    error: CallError = CallError.GIVEN_UP
    made: bool = True
    ended: float | None = field(default=None, repr=False)

    def answered(self, status: int | None, response: Redacted | None, request_id: str = "") -> None:
        """There is an answer; `response` is None where it cannot be read, `status` where it is not known then."""
        self.status, self.response, self.request_id = status, response, request_id
        self.error = CallError.UNREADABLE if response is None else CallError.NONE
        self.ended = time.perf_counter()

    def failed(self, meaning: Exception) -> None:
        """There is no answer; `meaning` is what the contract's caller is told. A call that found no place is none."""
        self.made = not isinstance(meaning, ProcessorBusy)
        unsent = isinstance(meaning, ProcessorUnavailable | ProcessorRejected)
        self.error = CallError.NOT_SENT if unsent else CallError.ANSWER_LOST


@contextmanager
def exchange(operation: str, request: Redacted, key: str = "") -> Iterator[Told]:
    """Records the call made inside of the block, however it ends.

    Args:
        operation: Method and path, without a query.
        key: The idempotency key, empty for a call that only reads.
    """
    calls, told = _collector.get(), Told()
    started_at, started = utc_now(), time.perf_counter()
    try:
        yield told
    finally:
        ended = told.ended or time.perf_counter()
        if calls is not None and told.made:
            call = ProcessorCall(
                id=new_id(),
                operation=str(plain(operation)),
                idempotency_key=str(plain(key)),
                request=request(),
                status=told.status,
                response=None if told.response is None else told.response(),
                error=told.error,
                processor_request_id=str(plain(told.request_id)),
                started_at=started_at,
                duration_us=round((ended - started) * 1_000_000),
            )
            calls.append(call)
