"""How often something happened lately: what rules ask for and `storage.velocity` counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Velocity:
    """One number about a merchant's earlier payments.

    Attributes:
        name: The fact's name, such as `count_payments_by_customer_1h`.
        function: `count`, `sum` or `distinct`.
        over: What is counted, summed or told apart, such as `payments`, `declines`, `amount`, `card`.
        by: What those payments share with the one at hand (`customer`, `card`, `email`, `ip`, `device`).
        within_s: The window that ends at the payment's own creation, seconds.
    """

    name: str
    function: str
    over: str
    by: str
    within_s: int
