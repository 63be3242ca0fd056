"""What a refused call raises, read from gRPC's status and its details; called by the clients."""

from collections.abc import Mapping

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"
# Nothing was begun, or the same idempotency key makes a repetition harmless.
_REPEATABLE = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
    }
)

_LET_GO_REASON = "SERVICE_UNAVAILABLE"
_LET_GO = "The server has more calls than it can take up, or stops. The same call may be repeated."
_LET_GO_RETRY_S = 1.0
_CLOSED = "Channel closed!"
"""What grpc says of calls under way when the client itself is closed."""


class KassaError(Exception):
    """A call that was refused or got no answer. A declined payment is none: it is returned as `FAILED`.

    Attributes:
        reason: A name of `kassa.v1.ErrorReason`, or the gRPC status's where the gateway gave no reason.
        message: One sentence for people.
        status: The gRPC status.
        field: The path of the field at fault, such as `card.number`.
        metadata: Facts beside the reason, such as the amount that can still be refunded.
        request_id: Finds the call in the gateway's logs.
        idempotency_key: What the call was sent with. With it, the same call may be repeated at any time later.
        retry_after: Seconds after which a repetition may succeed.
    """

    def __init__(self, message: str, *, reason: str, status: grpc.StatusCode) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status
        self.field: str | None = None
        self.metadata: Mapping[str, str] = {}
        self.request_id: str | None = None
        self.idempotency_key: str | None = None
        self.retry_after: float | None = None

    def __str__(self) -> str:
        place = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.reason}: {self.message}{place}"

    @property
    def repeatable(self) -> bool:
        """Whether the same call with the same idempotency key may succeed later."""
        return self.status in _REPEATABLE or self.reason == _LET_GO_REASON


def read_error(call: grpc.Call | grpc.aio.AioRpcError, idempotency_key: str | None) -> KassaError:
    """Makes the error of a failed call."""
    status = call.code()
    error = KassaError(call.details() or "", reason=status.name, status=status)
    error.idempotency_key = idempotency_key
    for key, value in call.initial_metadata() or ():
        if key == "x-request-id" and isinstance(value, str):
            error.request_id = value
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            _read_details(error, status_pb2.Status.FromString(value))
    if status is grpc.StatusCode.CANCELLED and error.request_id is None and error.message != _CLOSED:
        # grpc itself ended it, before the server's own words.
        error.reason, error.message, error.retry_after = _LET_GO_REASON, _LET_GO, _LET_GO_RETRY_S
    return error


def _read_details(error: KassaError, status: status_pb2.Status) -> None:
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    request, retry = error_details_pb2.RequestInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            error.reason, error.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request) and bad_request.field_violations:
            error.field = bad_request.field_violations[0].field
        elif detail.Unpack(request):
            error.request_id = request.request_id
        elif detail.Unpack(retry):
            error.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
