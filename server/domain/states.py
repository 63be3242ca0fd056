"""Which state of a payment may follow which, as data; `domain.settlement` and `domain.operations` read it."""

from collections.abc import Mapping
from enum import StrEnum

from server.domain.payment import State, TransactionType


class Event(StrEnum):
    """What can happen to a payment."""

    WAITS = "WAITS"
    """The customer or a bank must act."""
    AUTHORIZED = "AUTHORIZED"
    HELD_FOR_REVIEW = "HELD_FOR_REVIEW"
    CAPTURED = "CAPTURED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    REVIEW_APPROVED = "REVIEW_APPROVED"
    """People, or the deadline, let a payment go on that its merchant captures by itself."""
    REFUNDED_IN_PART = "REFUNDED_IN_PART"
    REFUNDED_IN_FULL = "REFUNDED_IN_FULL"
    REFUND_REVERSED = "REFUND_REVERSED"
    """A refund that had succeeded failed later: the money is back with the merchant."""


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.PROCESSING, Event.WAITS): State.PENDING,
    (State.PROCESSING, Event.AUTHORIZED): State.AUTHORIZED,
    (State.PROCESSING, Event.HELD_FOR_REVIEW): State.IN_REVIEW,
    (State.PROCESSING, Event.CAPTURED): State.COMPLETED,
    (State.PROCESSING, Event.DECLINED): State.FAILED,
    (State.PROCESSING, Event.CANCELLED): State.CANCELLED,
    (State.PENDING, Event.WAITS): State.PENDING,
    (State.PENDING, Event.AUTHORIZED): State.AUTHORIZED,
    (State.PENDING, Event.HELD_FOR_REVIEW): State.IN_REVIEW,
    (State.PENDING, Event.CAPTURED): State.COMPLETED,
    (State.PENDING, Event.DECLINED): State.FAILED,
    (State.PENDING, Event.CANCELLED): State.CANCELLED,
    (State.IN_REVIEW, Event.REVIEW_APPROVED): State.AUTHORIZED,
    (State.IN_REVIEW, Event.CAPTURED): State.COMPLETED,
    (State.IN_REVIEW, Event.CANCELLED): State.CANCELLED,
    (State.AUTHORIZED, Event.CAPTURED): State.COMPLETED,
    (State.AUTHORIZED, Event.CANCELLED): State.CANCELLED,
    (State.COMPLETED, Event.REFUNDED_IN_PART): State.COMPLETED,
    (State.COMPLETED, Event.REFUNDED_IN_FULL): State.REFUNDED,
    (State.COMPLETED, Event.REFUND_REVERSED): State.COMPLETED,
    (State.REFUNDED, Event.REFUND_REVERSED): State.COMPLETED,
    # A processor's fact beyond our limit (a refund made in its dashboard) is booked all the same.
    (State.REFUNDED, Event.REFUNDED_IN_FULL): State.REFUNDED,
}
"""Every transition there is; a pair that is not listed cannot happen."""

MAY_OPEN: Mapping[TransactionType, frozenset[State]] = {
    # Capturing is the merchant's own approval of a payment in review.
    TransactionType.CAPTURE: frozenset({State.AUTHORIZED, State.IN_REVIEW}),
    TransactionType.VOID: frozenset({State.PENDING, State.AUTHORIZED, State.IN_REVIEW}),
    TransactionType.REFUND: frozenset({State.COMPLETED}),
    # A confirmation carries on the authorization that waits.
    TransactionType.AUTHORIZATION: frozenset({State.PENDING}),
}
"""In which states of its payment an operation may begin."""


class ImpossibleTransition(Exception):
    """A settlement asked for a transition that TRANSITIONS does not list; a person must look at it."""


def next_state(state: State, event: Event) -> State:
    """Returns where `event` leads from `state`.

    Raises:
        ImpossibleTransition: Nothing may lead there.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ImpossibleTransition(f"{event.value} cannot happen to a payment in {state.value}") from None
