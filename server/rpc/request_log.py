"""One structured line for each call, and one for each defect; never a body, a header or a secret.

Called by `rpc.interceptor`. Where the lines go is `logs.configure`'s matter.
"""

import time
import traceback

import structlog
from grpc import StatusCode

from server.domain.errors import Reason
from server.rpc.call import Call
from server.usecases.answers import Caller

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("kassa.rpc")
# What people must look at: either the server or what it stands on is in trouble.
_TROUBLE = frozenset({StatusCode.UNAVAILABLE, StatusCode.INTERNAL})


def log_call(call: Call, code: StatusCode, reason: Reason | None, started: float) -> None:
    """Writes the line of a call that ends; `started` is `time.perf_counter()`, in seconds."""
    write = _log.warning if code in _TROUBLE else _log.info
    write(
        "call",
        method=call.method,
        code=code.name,
        reason=None if reason is None else reason.value,
        http_status=None if reason is not None else call.http_status,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
        request_id=call.request_id,
        merchant_id=str(call.principal.merchant_id) if isinstance(call.principal, Caller) else None,
        replayed=call.replayed,
    )


def log_defect(call: Call, error: BaseException) -> None:
    """Writes where an unexpected exception was raised, without its text, which may quote the request."""
    _log.error("defect", method=call.method, request_id=call.request_id, raised=_describe(error))


def _describe(error: BaseException) -> list[dict[str, object]]:
    """Lists the exception and what caused it, outermost first: type and stack, innermost frame last."""
    chain: list[dict[str, object]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = traceback.extract_tb(current.__traceback__)
        stack = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        chain.append({"type": f"{type(current).__module__}.{type(current).__qualname__}", "stack": stack})
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return chain
