"""What becomes of an outcome that a payment's method cannot follow. Called by `screen`."""

from server.domain.payment import FraudOutcome


def feasible(outcome: FraudOutcome, *, can_hold: bool, can_challenge: bool) -> FraudOutcome:
    """Returns the outcome, or the mildest harder one that can be had.

    A challenge that nobody could ask for becomes a review; a review whose funds cannot be held becomes a block, since
    such funds are gone before an analyst has looked.

    Args:
        can_hold: Whether the method's funds can be held.
        can_challenge: Whether the processor can ask for 3-D Secure with the method.
    """
    if outcome is FraudOutcome.CHALLENGE and not can_challenge:
        outcome = FraudOutcome.REVIEW
    if outcome is FraudOutcome.REVIEW and not can_hold:
        outcome = FraudOutcome.BLOCK
    return outcome
