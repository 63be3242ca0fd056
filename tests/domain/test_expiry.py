"""When a payment's time is over, and what waits at all."""

from datetime import timedelta

import pytest

from server.domain.expiry import HOLD_MARGIN, PATIENCE, Lifetimes, deadline, waits
from server.domain.payment import State
from tests.factories import make_payment, make_transaction

DAY = timedelta(days=1)
LIFETIMES = Lifetimes(approval=DAY, hold=6 * DAY)
WAITING = {State.AUTHORIZED, State.IN_REVIEW}


@pytest.mark.parametrize("state", State)
def test_funds_that_are_held_wait_for_their_merchant(state: State) -> None:
    payment = make_payment(state=state)
    authorization = make_transaction(payment)
    over = deadline(payment, authorization, LIFETIMES)
    assert over == (authorization.created_at + 6 * DAY if state in WAITING else None)
    assert waits(payment) is (state in WAITING)


def test_a_pending_payment_waits_only_where_its_customer_can_act() -> None:
    page, bank = (make_payment(state=State.PENDING, redirect_url=url) for url in ("https://bank.example", ""))
    assert deadline(page, make_transaction(page), LIFETIMES) == page.created_at + DAY
    assert deadline(bank, make_transaction(bank), LIFETIMES) is None


def test_a_processor_narrows_the_time_and_never_widens_it() -> None:
    assert PATIENCE.within(7 * DAY).hold == 7 * DAY - HOLD_MARGIN
    assert Lifetimes(hold=2 * DAY).within(7 * DAY).hold == 2 * DAY
    assert Lifetimes(hold=9 * DAY).within(7 * DAY).hold == 6 * DAY
    assert PATIENCE.within(7 * DAY).approval == DAY
