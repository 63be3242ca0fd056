"""What it means that a call to Stripe failed: nothing was sent, nobody knows, or Stripe said no. `connection` asks."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import stripe

from server.processors.contract import OutcomeUnknown, ProcessorRejected, ProcessorUnavailable

CALL_ERRORS = (stripe.StripeError, aiohttp.ClientError, TimeoutError)
"""All that a call may raise. The last two escape the SDK where the connection breaks while the body is read."""

_BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Refusal(Exception):
    """Stripe answered with an error about this request: https://docs.stripe.com/api/errors

    Attributes:
        error: `error` of the answer; it may hold `code`, `decline_code`, `param` and the `payment_intent`.
    """

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.error = error
        self.kind = str(error.get("type") or "")
        self.code = str(error.get("code") or "")
        self.param = str(error.get("param") or "")
        super().__init__(f"stripe refused with {status} {self.code or self.kind}")

    @property
    def intent(self) -> Mapping[str, Any] | None:
        """The payment intent that the refusal is about, where Stripe tells it."""
        found = self.error.get("payment_intent")
        return found if isinstance(found, Mapping) else None

    @property
    def other_parameters(self) -> bool:
        """Whether the key was refused since it stands for another request: https://docs.stripe.com/api/idempotent_requests"""
        return self.kind == "idempotency_error"


def meaning(error: Exception) -> Exception:
    """Returns what to raise instead of one of `CALL_ERRORS`. It never quotes the request or the answer.

    Returns:
        ProcessorUnavailable, OutcomeUnknown, ProcessorRejected or Refusal.
    """
    if isinstance(error, stripe.APIConnectionError):
        cause = error.__cause__
        if isinstance(cause, _BEFORE_SENDING):
            return ProcessorUnavailable(f"stripe cannot be reached: {type(cause).__name__}")
        return OutcomeUnknown(f"stripe's answer was lost: {type(cause or error).__name__}")
    if not isinstance(error, stripe.StripeError) or error.http_status is None:
        return OutcomeUnknown(f"stripe's answer was lost: {type(error).__name__}")
    return _meaning_of_answer(error.http_status, error)


def _meaning_of_answer(status: int, error: stripe.StripeError) -> Exception:
    if status == 429:
        # Refused before anything ran: https://docs.stripe.com/rate-limits
        return ProcessorUnavailable("stripe limits our rate")
    if status == 409 or not 400 <= status < 500:
        # 409: the same key is in use at this moment. 5xx "should be treated as indeterminate":
        # https://docs.stripe.com/error-low-level#server-errors
        return OutcomeUnknown(f"stripe answered with {status}")
    body = error.json_body
    details = body.get("error") if isinstance(body, Mapping) else None
    refusal = Refusal(status, details if isinstance(details, Mapping) else {})
    if status in (401, 403):
        return ProcessorRejected(refusal.code or ("authentication_failed" if status == 401 else "permission_denied"))
    return refusal
