"""Stripe's error bodies. Every module of this package raises them; `routes` renders them.

https://docs.stripe.com/api/errors, https://docs.stripe.com/error-codes
"""

from typing import Any

Json = dict[str, Any]


class StripeError(Exception):
    """An answer that is not 2xx.

    Args:
        fields: What `error` holds beside type and message: `code`, `param`, `decline_code`, `charge`, …
        begun: False when the request was refused before anything ran: Stripe then keeps no answer under the key.
    """

    def __init__(self, status: int, kind: str, message: str, *, begun: bool = True, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.begun = begun
        self.error: Json = {"message": message, "type": kind}
        self.error |= {name: value for name, value in fields.items() if value is not None}
        if code := fields.get("code"):
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def invalid(message: str, **fields: Any) -> StripeError:
    """A parameter that Stripe refuses before it does anything."""
    return StripeError(400, "invalid_request_error", message, begun=False, **fields)


def refused(message: str, **fields: Any) -> StripeError:
    """A well-formed request that the object's present state does not allow."""
    return StripeError(400, "invalid_request_error", message, **fields)


def missing(kind: str, key: str, param: str) -> StripeError:
    """An object that the account does not have."""
    message = f"No such {kind}: '{key}'"
    return StripeError(404, "invalid_request_error", message, begun=False, code="resource_missing", param=param)


def wrong_state(message: str, intent: Json) -> StripeError:
    """A payment intent whose status does not allow it."""
    return refused(message, code="payment_intent_unexpected_state", payment_intent=intent)


def server_error(status: int) -> StripeError:
    """What Stripe says when it is Stripe's own fault, or for 429 when there were too many requests."""
    if status == 429:  # the status itself
        return StripeError(429, "invalid_request_error", "Request rate limit exceeded.", code="rate_limit")
    return StripeError(status, "api_error", "An unknown error occurred")
