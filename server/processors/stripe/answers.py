"""From Stripe's answers and refusals to outcomes; `operations` and `recovery` use it."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from server.domain.decline import DeclineCode
from server.domain.outcome import Declined, Outcome
from server.processors.contract import OutcomeUnknown, ProcessorRejected, Request
from server.processors.failures import failure
from server.processors.stripe.declines import REFUSED_OPERATIONS, instrument_refused
from server.processors.stripe.intents import declined
from server.processors.stripe.refusals import Refusal

_log = logging.getLogger(__name__)

T = TypeVar("T")


def read(parse: Callable[[Mapping[str, Any]], T], answer: Mapping[str, Any]) -> T:
    """Understands an answer.

    Raises:
        OutcomeUnknown: It is not what Stripe's documentation describes; it was acted upon all the same.
    """
    try:
        return parse(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        _log.error("an answer of stripe cannot be understood: %r", error)
        raise OutcomeUnknown(f"stripe's answer cannot be understood: {type(error).__name__}") from None


def write(parameters: Callable[[], T]) -> T:
    """Writes a request.

    Raises:
        ProcessorRejected: Stripe cannot express it; nothing was sent.
    """
    try:
        return parameters()
    except (KeyError, ValueError):
        raise ProcessorRejected("request_not_expressible") from None


def payment_intent(request: Request) -> str:
    """Returns the intent that an operation is about.

    Raises:
        ProcessorRejected: It is not known; nothing was sent.
    """
    if not request.processor_payment_id:
        raise ProcessorRejected("payment_intent_not_known")
    return request.processor_payment_id


def authorization_refused(refusal: Refusal) -> Outcome:
    """Says what a refused creation or confirmation means.

    Raises:
        ProcessorRejected: The request itself was wrong.
    """
    key = str((refusal.intent or {}).get("id") or "")
    if refusal.kind == "card_error":
        return declined(refusal.error, key)
    code = instrument_refused(refusal.code, refusal.param)
    if code is None:
        raise ProcessorRejected(refusal.code or "invalid_request")
    return Declined(failure=failure(code, refusal.code or None), processor_payment_id=key)


def operation_refused(refusal: Refusal, intent: str) -> Outcome:
    """Says what a refused capture, cancellation or refund means.

    Raises:
        ProcessorRejected: The request itself was wrong.
    """
    # A refund beyond what is left comes without a code; only its parameter is named.
    if refusal.code in REFUSED_OPERATIONS or refusal.param in ("amount", "amount_to_capture"):
        why = failure(DeclineCode.OPERATION_REFUSED, refusal.code or None)
        return Declined(failure=why, processor_payment_id=intent)
    raise ProcessorRejected(refusal.code or "invalid_request")
