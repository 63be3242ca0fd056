"""How often something happened lately: what rules ask for and `storage.velocity` counts."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Velocity:
    """One number about a merchant's earlier payments.

    Attributes:
        name: The fact's name, such as `count_payments_by_customer_1h`.
        function: `count`, `sum` or `distinct`.
        over: What is counted or summed (`payments`, `declines`, `refunds`), or told apart (`card`, `email`, …).
        by: What those payments share with the one at hand (`customer`, `card`, `email`, `ip`, `device`).
        within_s: The window that ends at the payment's own creation, seconds; None for all time.
    """

    name: str
    function: str
    over: str
    by: str
    within_s: int | None


Counted = Mapping[str, int | Mapping[str, int]]
"""By fact name: a number, or for a sum the minor units by currency. What a payment lacks is missing."""
