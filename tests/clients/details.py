"""Error details as the gateway sends them."""

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status


def details(reason: str, *, field: str = "", retry_after: float | None = None, **metadata: str) -> tuple[str, bytes]:
    """Makes the trailing metadata of an error."""
    violation = BadRequest.FieldViolation(field=field, description="wrong")
    messages: list[Message] = [
        ErrorInfo(reason=reason, domain="kassa", metadata=metadata),
        RequestInfo(request_id="req-1"),
        BadRequest(field_violations=[violation] if field else []),
    ]
    if retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(int(retry_after * 1000))
        messages.append(RetryInfo(retry_delay=delay))
    status = Status()
    for message in messages:
        packed = AnyMessage()
        packed.Pack(message)
        status.details.append(packed)
    return ("grpc-status-details-bin", status.SerializeToString())
