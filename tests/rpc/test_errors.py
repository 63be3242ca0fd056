"""One table says how every refusal looks; these tests hold it to the contract."""

import json

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from kassa.v1.error_reason_pb2 import ErrorReason
from syrupy.assertion import SnapshotAssertion

from server.domain.errors import InvalidField, KassaError, Reason
from server.rpc.errors import SHAPES, Refusal, refuse

# Envoy answers these by itself, before or instead of the server.
EDGE_ALONE = {"REQUEST_MALFORMED", "REQUEST_TOO_LARGE", "UNKNOWN_URL", "RATE_LIMITED", "DEADLINE_EXCEEDED"}


def test_every_reason_has_its_shape() -> None:
    assert set(SHAPES) == set(Reason)


def test_every_reason_of_the_contract_is_known_and_the_other_way_round() -> None:
    contract = set(ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
    assert {reason.value for reason in Reason} == contract - EDGE_ALONE


def test_only_a_server_that_cannot_serve_says_unavailable() -> None:
    """Envoy ejects hosts that say it."""
    unavailable = {reason for reason, shape in SHAPES.items() if shape.status is StatusCode.UNAVAILABLE}
    assert unavailable == {Reason.SERVICE_UNAVAILABLE}


def test_shapes_are_as_published(snapshot: SnapshotAssertion) -> None:
    shown = {
        reason.value: f"{shape.status.name} {shape.type} http={shape.http_status} retry={shape.retry_after_s}"
        for reason, shape in SHAPES.items()
    }
    assert shown == snapshot


def test_body_of_a_bad_field(snapshot: SnapshotAssertion) -> None:
    refusal = refuse(InvalidField("card.number", "has a wrong check digit"), "req_1")
    assert dict(refusal.trailing)["x-error-body"] == snapshot


def test_body_without_a_field(snapshot: SnapshotAssertion) -> None:
    refusal = refuse(KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment."), "req_1")
    assert dict(refusal.trailing)["x-error-body"] == snapshot


@pytest.mark.parametrize("message", ['quotes " and \\', "line\r\nbreak", "§ ümläut 💳", "tab\tand \x7f"])
def test_body_is_one_line_of_ascii_whatever_the_message(message: str) -> None:
    body = dict(refuse(KassaError(Reason.INTERNAL, message), "req_1").trailing)["x-error-body"]
    assert isinstance(body, str) and body.isascii() and body.isprintable()
    assert json.loads(body)["error"]["message"] == message


def test_details_name_reason_field_and_request() -> None:
    error = KassaError(Reason.CAPTURE_EXCEEDS_AUTHORIZED, "Too much.", metadata={"amount": "5"}, field="amount")
    status = _status(refuse(error, "req_1"))
    assert status.code == StatusCode.FAILED_PRECONDITION.value[0]
    info, request, bad = ErrorInfo(), RequestInfo(), BadRequest()
    assert status.details[0].Unpack(info) and status.details[1].Unpack(request) and status.details[2].Unpack(bad)
    assert (info.reason, info.domain, dict(info.metadata)) == ("CAPTURE_EXCEEDS_AUTHORIZED", "kassa", {"amount": "5"})
    assert request.request_id == "req_1"
    assert bad.field_violations[0].field == "amount"


def test_a_refusal_that_knows_better_sets_when_to_retry() -> None:
    error = KassaError(Reason.REQUEST_IN_FLIGHT, "Wait.", metadata={"retry_after_s": "7"})
    refusal = refuse(error, "req_1")
    retry = RetryInfo()
    assert refusal.retry_after_s == 7
    assert _status(refusal).details[-1].Unpack(retry) and retry.retry_delay.seconds == 7


def test_a_processor_out_of_reach_is_503_over_rest() -> None:
    refusal = refuse(KassaError(Reason.PROCESSOR_UNAVAILABLE, "Later."), "req_1")
    assert refusal.status is StatusCode.ABORTED
    assert dict(refusal.trailing)["x-http-status"] == "503"


def _status(refusal: Refusal) -> Status:
    raw = dict(refusal.trailing)["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    return Status.FromString(raw)
