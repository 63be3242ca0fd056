"""Whether a processor still knows an idempotency key, so that a repeat is answered and not done again. For adapters."""

from datetime import timedelta

from server.clock import utc_now
from server.processors.contract import Capabilities, Request

_MARGIN = timedelta(minutes=5)
"""A repeat must arrive, not only leave, before its key's lifetime ends."""


def key_lives(request: Request, capabilities: Capabilities) -> bool:
    """Says whether the request may be repeated under its key."""
    if request.key_age is None:
        return False
    # A process may have slept since its lease, and then its own clock says so; one that is behind makes no key younger.
    slept = timedelta() if request.asked_at is None else max(timedelta(), utc_now() - request.asked_at)
    return not _is_old(request.key_age + slept, request, capabilities)


def key_is_over(request: Request, capabilities: Capabilities) -> bool:
    """Says whether the processor has forgotten the key by now, by the database's clock alone."""
    return request.key_age is not None and _is_old(request.key_age, request, capabilities)


def _is_old(age: timedelta, request: Request, capabilities: Capabilities) -> bool:
    return age + _MARGIN >= capabilities.key_lifetime[type(request).__name__]
