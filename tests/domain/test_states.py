"""The transition table, over every pair of state and event."""

import itertools

import pytest

from server.domain.payment import State, TransactionType
from server.domain.states import MAY_OPEN, TRANSITIONS, Event, ImpossibleTransition, next_state

TERMINAL = {State.FAILED, State.CANCELLED}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_moves_as_listed_or_is_refused(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(ImpossibleTransition):
            next_state(state, event)


def test_failed_and_cancelled_payments_stay_so() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in TERMINAL]


def test_nothing_returns_to_processing_or_from_money_taken_to_none() -> None:
    assert State.PROCESSING not in TRANSITIONS.values()
    taken = {State.COMPLETED, State.REFUNDED}
    assert all(after in taken for (before, _), after in TRANSITIONS.items() if before in taken)


def test_every_state_is_reachable_from_the_first() -> None:
    reached = {State.PROCESSING}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)


def test_no_operation_begins_on_a_payment_that_is_over() -> None:
    assert all(not states & TERMINAL for states in MAY_OPEN.values())
    assert MAY_OPEN[TransactionType.REFUND] == {State.COMPLETED}
