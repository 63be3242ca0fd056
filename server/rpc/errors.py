"""How every refusal looks outside: gRPC status, REST body and HTTP status. Called by `rpc.interceptor` alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from server.domain.errors import KassaError, Reason

DOMAIN = "kassa"
_RETRY_AFTER = "retry_after_s"  # in an error's metadata: seconds, where the refusal knows better than the table


@dataclass(frozen=True, slots=True)
class Shape:
    """How a reason is shown.

    Attributes:
        status: The gRPC status.
        type: `error.type` of the REST body.
        http_status: Where it is not what Envoy makes of the gRPC status.
        retry_after_s: Seconds after which the same request may succeed; None where repeating it is pointless.
    """

    status: StatusCode
    type: str
    http_status: int | None = None
    retry_after_s: int | None = None


_INVALID = Shape(StatusCode.INVALID_ARGUMENT, "invalid_request_error")
_UNAUTHENTICATED = Shape(StatusCode.UNAUTHENTICATED, "authentication_error")
_NOT_FOUND = Shape(StatusCode.NOT_FOUND, "invalid_request_error")
_PRECONDITION = Shape(StatusCode.FAILED_PRECONDITION, "invalid_request_error")

SHAPES: Mapping[Reason, Shape] = MappingProxyType(
    {
        Reason.AUTHENTICATION_REQUIRED: _UNAUTHENTICATED,
        Reason.API_KEY_INVALID: _UNAUTHENTICATED,
        Reason.PERMISSION_DENIED: Shape(StatusCode.PERMISSION_DENIED, "permission_error"),
        Reason.INVALID_FIELD: _INVALID,
        Reason.PAGE_TOKEN_INVALID: _INVALID,
        Reason.IDEMPOTENCY_KEY_MISSING: _INVALID,
        Reason.IDEMPOTENCY_KEY_INVALID: _INVALID,
        Reason.IDEMPOTENCY_KEY_REUSED: Shape(StatusCode.FAILED_PRECONDITION, "idempotency_error"),
        Reason.REQUEST_IN_FLIGHT: Shape(StatusCode.ABORTED, "idempotency_error", retry_after_s=1),
        Reason.PAYMENT_NOT_FOUND: _NOT_FOUND,
        Reason.MERCHANT_NOT_FOUND: _NOT_FOUND,
        Reason.API_KEY_NOT_FOUND: _NOT_FOUND,
        Reason.PROCESSOR_ACCOUNT_NOT_FOUND: _NOT_FOUND,
        Reason.ATTENTION_NOT_FOUND: _NOT_FOUND,
        Reason.PAYMENT_STATE_INVALID: _PRECONDITION,
        Reason.OPERATION_IN_PROGRESS: Shape(StatusCode.ABORTED, "invalid_request_error", retry_after_s=1),
        Reason.CAPTURE_EXCEEDS_AUTHORIZED: _PRECONDITION,
        Reason.REFUND_EXCEEDS_CAPTURED: _PRECONDITION,
        Reason.PAYMENT_DISPUTED: _PRECONDITION,
        Reason.DISPUTE_NOT_FOUND: _NOT_FOUND,
        Reason.DISPUTE_STATE_INVALID: _PRECONDITION,
        Reason.DISPUTE_DEADLINE_PASSED: _PRECONDITION,
        Reason.REVIEW_NOT_FOUND: _NOT_FOUND,
        Reason.REVIEW_CLOSED: _PRECONDITION,
        Reason.REVIEW_CLAIMED: _PRECONDITION,
        Reason.LIST_ENTRY_NOT_FOUND: _NOT_FOUND,
        Reason.SNOOZE_NOT_FOUND: _NOT_FOUND,
        Reason.DAILY_LIMIT_REACHED: Shape(StatusCode.RESOURCE_EXHAUSTED, "rate_limit_error"),
        Reason.METHOD_NOT_SUPPORTED: _PRECONDITION,
        Reason.CURRENCY_NOT_SUPPORTED: _PRECONDITION,
        Reason.AMOUNT_NOT_REPRESENTABLE: _INVALID,
        Reason.PROCESSOR_REFUSED: Shape(StatusCode.FAILED_PRECONDITION, "processor_error"),
        Reason.PROCESSOR_NOT_CONFIGURED: _PRECONDITION,
        Reason.WEBHOOK_SIGNATURE_INVALID: _INVALID,
        Reason.WEBHOOK_STALE: _INVALID,
        # Envoy ejects a server that says UNAVAILABLE, and neither of these two means that this server is broken.
        Reason.PROCESSOR_UNAVAILABLE: Shape(StatusCode.ABORTED, "processor_error", http_status=503, retry_after_s=1),
        Reason.OVERLOADED: Shape(StatusCode.RESOURCE_EXHAUSTED, "api_error", http_status=503, retry_after_s=1),
        Reason.SERVICE_UNAVAILABLE: Shape(StatusCode.UNAVAILABLE, "api_error", retry_after_s=1),
        Reason.INTERNAL: Shape(StatusCode.INTERNAL, "api_error"),
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as it is sent.

    Attributes:
        retry_after_s: For the header `retry-after`; None for no header.
        trailing: Trailing metadata: the status details for gRPC clients, body and HTTP status for Envoy.
    """

    status: StatusCode
    message: str
    retry_after_s: int | None
    trailing: tuple[tuple[str, str | bytes], ...]


def refuse(error: KassaError, request_id: str) -> Refusal:
    """Renders an error for both protocols."""
    shape = SHAPES[error.reason]
    told = error.metadata.get(_RETRY_AFTER)
    retry_after_s = shape.retry_after_s if told is None else int(told)
    trailing: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", _details(error, shape.status, request_id, retry_after_s)),
        ("x-error-body", _body(error, shape, request_id)),
    ]
    if shape.http_status is not None:
        trailing.append(("x-http-status", str(shape.http_status)))
    return Refusal(shape.status, error.message, retry_after_s, tuple(trailing))


def _body(error: KassaError, shape: Shape, request_id: str) -> str:
    """Writes the REST body; ASCII without line breaks, since it travels in a header."""
    body = {
        "type": shape.type,
        "code": error.reason.value,
        "message": error.message,
        "param": error.field,
        "request_id": request_id,
    }
    return json.dumps({"error": body}, ensure_ascii=True, separators=(",", ":"))


def _details(error: KassaError, status: StatusCode, request_id: str, retry_after_s: int | None) -> bytes:
    """Writes `google.rpc.Status` (https://google.aip.dev/193)."""
    details = [
        _pack(ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=error.metadata)),
        _pack(RequestInfo(request_id=request_id)),
    ]
    if error.field is not None:
        violation = BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(_pack(BadRequest(field_violations=[violation])))
    if retry_after_s is not None:
        details.append(_pack(RetryInfo(retry_delay=Duration(seconds=retry_after_s))))
    code: int = status.value[0]
    serialized: bytes = Status(code=code, message=error.message, details=details).SerializeToString()
    return serialized


def _pack(message: ErrorInfo | RequestInfo | BadRequest | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
