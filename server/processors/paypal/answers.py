"""From PayPal's answers and refusals to outcomes; `operations` and `recovery` use it."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from server.domain.decline import DeclineCode
from server.domain.outcome import Cancelled, Declined, Outcome
from server.processors.contract import OutcomeUnknown, ProcessorRejected, Request
from server.processors.failures import failure
from server.processors.paypal.declines import ORDER_DECLINES, REFUSED_OPERATIONS, RELEASED
from server.processors.paypal.refusals import Refusal

_log = logging.getLogger(__name__)

T = TypeVar("T")


def read(parse: Callable[[Mapping[str, Any]], T], answer: Mapping[str, Any]) -> T:
    """Understands an answer.

    Raises:
        OutcomeUnknown: It is not what PayPal's documentation describes; it was acted upon all the same.
    """
    try:
        return parse(answer)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        _log.error("an answer of paypal cannot be understood: %r", error)
        raise OutcomeUnknown(f"paypal's answer cannot be understood: {type(error).__name__}") from None


def write(body: Callable[[], T]) -> T:
    """Writes a request.

    Raises:
        ProcessorRejected: PayPal cannot express it; nothing was sent.
    """
    try:
        return body()
    except (KeyError, ValueError):
        raise ProcessorRejected("request_not_expressible") from None


def order_id(request: Request) -> str:
    """Returns the order that a request is about.

    Raises:
        ProcessorRejected: It is not known; nothing was sent.
    """
    if not request.processor_payment_id:
        raise ProcessorRejected("order_not_known")
    return request.processor_payment_id


def creation_refused(refusal: Refusal) -> Outcome:
    """Says what a refused order means.

    Raises:
        ProcessorRejected: The request itself was wrong.
    """
    code = ORDER_DECLINES.get(refusal.issue)
    if code is None:
        raise ProcessorRejected(refusal.issue)
    return Declined(failure=failure(code, refusal.issue))


def taking_refused(refusal: Refusal, order: str) -> Outcome:
    """Says what it means that an approved order could not be captured or authorized: it is over, and nothing was taken.

    Raises:
        OutcomeUnknown: PayPal did not understand the request; the order stands as it stood.
    """
    if refusal.issue == "ORDER_EXPIRED":
        return Cancelled(processor_payment_id=order)
    if refusal.status != 422:
        raise OutcomeUnknown(str(refusal))
    code = ORDER_DECLINES.get(refusal.issue)
    if code is None:
        _log.error("%s: an issue that we do not know", refusal)
        code = DeclineCode.PROCESSING_ERROR
    return Declined(failure=failure(code, refusal.issue), processor_payment_id=order)


def operation_refused(refusal: Refusal, order: str) -> Outcome:
    """Says what a refused capture, void or refund means.

    Raises:
        ProcessorRejected: The request itself was wrong.
    """
    if refusal.issue in RELEASED:
        return Cancelled(processor_payment_id=order)
    code = REFUSED_OPERATIONS.get(refusal.issue)
    if code is None:
        raise ProcessorRejected(refusal.issue)
    return Declined(failure=failure(code, refusal.issue), processor_payment_id=order)
