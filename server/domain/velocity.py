"""What rules ask of a merchant's earlier payments, and by what payments are found again; `storage.velocity` counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Velocity:
    """One value to be read from a merchant's earlier payments; the words are those of `fraud_rules.velocity`.

    Attributes:
        name: The fact's name, such as `count_payments_by_customer_1h`.
        function: `count`, `sum`, `average`, `distinct`, `seconds_since_last`, `seconds_since_first`, `first_seen`,
            `last`.
        over: What is counted (`payments`, `declines`, …), told apart (`card`, `email`, …) or was last said
            (`cvc_check`, …).
        by: What those payments share with the one at hand (`customer`, `card`, `merchant`, …).
        within_s: The window that ends at the payment's own creation, seconds; None for all time.
        platform: Whether the payments of all merchants are meant.
    """

    name: str
    function: str
    over: str
    by: str
    within_s: int | None
    platform: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """Amounts of payments in one currency: how many they are, and their sum in its minor units."""

    payments: int
    amount: int


Counted = Mapping[str, int | bool | str | Mapping[str, Spent]]
"""By fact name; a sum and an average as what was spent by currency. What is unknown is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What a payment is found again by, beside what its customer told; empty where it is not known.

    Attributes:
        card_fingerprint: Keyed hash of the card number.
        card_bin: Its first digits, see `Card.bin`.
        email_key: The customer's address in lower case: in capitals it is the same one.
        email_domain: What follows its @.
        holder_hash: Keyed hash of the name on the card.
        shipping_key: Keyed hash of the address that the parcel goes to.
        platform: By key (`card`, `email`, …), keyed hashes by which all merchants' payments are counted, 32 hexadecimal
            digits each; empty where no rule asks for that, and never stored with the payment.
    """

    card_fingerprint: str = ""
    card_bin: str = ""
    email_key: str = ""
    email_domain: str = ""
    holder_hash: str = ""
    shipping_key: str = ""
    platform: Mapping[str, str] = field(default_factory=dict)


NO_TRACES = Traces()
