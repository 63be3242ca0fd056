"""What a processor keeps for its work; adapters report it, `ledger` books it when it is known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fee:
    """One fee.

    Attributes:
        amount: Minor units of `currency`; negative where the processor gives a fee back.
        currency: In which the account is settled, upper case; it may differ from the payment's.
        reference: The processor's object that says so (a balance transaction, a capture); each is booked once.
    """

    amount: int
    currency: str
    reference: str
