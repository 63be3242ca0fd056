"""Where Stripe is reached; `bootstrap` makes it from the settings, `connection` obeys it."""

from dataclasses import dataclass

LIVE_API_BASE = "https://api.stripe.com"


@dataclass(frozen=True, slots=True)
class StripeEndpoint:
    """Endpoint settings.

    Attributes:
        api_base: Another address than Stripe's own, for test-mode accounts alone; None: Stripe's own for all.
        deadline_s: Seconds that one call may take, answer included.
        connect_s: Seconds of these that connecting may take.
        max_in_flight: Calls that one account may have under way.
        slot_wait_s: Seconds that a call waits for one of these to end before it is given up, unsent.
    """

    api_base: str | None = None
    deadline_s: float = 20.0
    connect_s: float = 5.0
    max_in_flight: int = 4000
    slot_wait_s: float = 2.0
