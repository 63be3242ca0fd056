"""What it means that a call to PayPal failed: nothing was sent, nobody knows, or PayPal said no. `connection` asks."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import urllib3
from paypalrestsdk import exceptions

from server.processors.contract import OutcomeUnknown, ProcessorRejected, ProcessorUnavailable
from server.processors.paypal.api import TokenFailed, debug_id

CALL_ERRORS = (TokenFailed, exceptions.ConnectionError, requests.RequestException, ValueError)
"""All that a call may raise; ValueError is an answer that is not JSON."""

_BEFORE_SENDING = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    ssl.SSLCertVerificationError,
)


class Refusal(Exception):
    """PayPal answered with an error about this request: https://developer.paypal.com/api/rest/responses/

    Attributes:
        issue: The first of `details[].issue`, else `name`.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.issue = _issue(body)
        super().__init__(f"paypal refused with {status} {self.issue} (debug id {body.get('debug_id')})")


def meaning(error: Exception) -> Exception:
    """Returns what to raise instead of one of `CALL_ERRORS`. It never quotes the request or the answer.

    Returns:
        ProcessorUnavailable, OutcomeUnknown, ProcessorRejected or Refusal.
    """
    if isinstance(error, TokenFailed):
        return _meaning_of_no_token(error.error)
    if isinstance(error, exceptions.ConnectionError):
        return _meaning_of_answer(error)
    if any(isinstance(cause, _BEFORE_SENDING) for cause in _causes(error)):
        return ProcessorUnavailable(f"paypal cannot be reached: {type(error).__name__}")
    return OutcomeUnknown(f"paypal's answer was lost: {type(error).__name__}")


def quoted(error: Exception) -> tuple[int, Mapping[str, Any] | None, str] | None:
    """Returns the status, the body and PayPal's id of an answer that came as one of `CALL_ERRORS`.

    The body is None where it is not JSON. For a call that was not sent, or not answered, all of it is None.
    """
    if not isinstance(error, exceptions.ConnectionError):
        return None
    response = error.response
    return int(response.status_code), _body(response) or None, debug_id(response)


def _meaning_of_no_token(error: Exception) -> Exception:
    status = error.response.status_code if isinstance(error, exceptions.ConnectionError) else 0
    if status in (400, 401, 403):
        return ProcessorRejected("invalid_client")
    return ProcessorUnavailable(f"paypal gives no access token: {status or type(error).__name__}")


def _meaning_of_answer(error: Any) -> Exception:
    status = int(error.response.status_code)
    if status == 429:
        return ProcessorUnavailable("paypal limits our rate")
    if status == 409 or not 400 <= status < 500:
        # 409: a request under the same key is at work at this moment. 5xx may have been acted upon, too.
        return OutcomeUnknown(f"paypal answered with {status}")
    refusal = Refusal(status, _body(error.response))
    return ProcessorRejected(refusal.issue) if status in (401, 403) else refusal


def _body(response: requests.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _issue(body: Mapping[str, Any]) -> str:
    details = body.get("details")
    first = details[0] if isinstance(details, list) and details else {}
    issue = first.get("issue") if isinstance(first, Mapping) else None
    return str(issue or body.get("name") or body.get("error") or "INVALID_REQUEST")


def _causes(error: BaseException) -> Iterator[object]:
    """The error and all that it wraps: requests puts urllib3's into `args`, urllib3 into `reason`."""
    seen: list[object] = [error]
    for one in seen:
        inner = [*getattr(one, "args", ()), getattr(one, "reason", None), getattr(one, "__cause__", None)]
        seen += [found for found in inner if isinstance(found, BaseException) and found not in seen]
        yield one
