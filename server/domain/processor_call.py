"""One HTTP call that was made to a processor, as it may be kept: without card data, secrets and customers' data.

Made by the adapters through `processors.exchanges`, stored by `storage.processor_calls`, shown by the timeline.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class CallError(StrEnum):
    """Why a call has no answer, or none that can be read."""

    NONE = ""
    NOT_SENT = "NOT_SENT"
    """No connection: the processor saw nothing."""
    ANSWER_LOST = "ANSWER_LOST"
    """Sent, and the connection broke or fell silent before the answer came."""
    GIVEN_UP = "GIVEN_UP"
    """Sent, and our own deadline ended the wait."""
    UNREADABLE = "UNREADABLE"
    """Answered with something else than JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorCall:
    """What was said and answered.

    Attributes:
        id: Orders calls as they ended.
        operation: Method and path, such as `POST v1/payment_intents`.
        idempotency_key: As the processor saw it; empty for a call that only reads.
        request: The parameters that may be kept; `…` stands for what may not.
        status: HTTP status; None where there was no answer.
        response: The fields of the answer that may be kept; None where there was none.
        processor_request_id: The processor's own id of the call, which its support asks for; empty where it gave none.
        started_at: UTC, on the clock of the process that called.
        duration_us: Microseconds until the answer was read, or the call was over without one.
    """

    id: UUID
    operation: str
    idempotency_key: str
    request: Mapping[str, Any]
    status: int | None
    response: Mapping[str, Any] | None
    error: CallError
    processor_request_id: str
    started_at: datetime
    duration_us: int
