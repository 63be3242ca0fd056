"""How old a transaction is, and how long it is leased, is told by the database's clock, whatever a server believes."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.outcome import Unknown
from server.storage.open_operations import OperationOpened
from server.storage.open_payments import Opened
from tests.factories import make_payment
from tests.storage.conftest import Till

AGE = "SELECT extract(epoch FROM now() - created_at)::float FROM transactions WHERE merchant_id = :merchant"


@pytest.mark.parametrize("off", [timedelta(days=-1), timedelta(days=1)])
async def test_a_server_whose_clock_is_wrong_makes_no_old_transaction(till: Till, off: timedelta) -> None:
    await till.open(make_payment(merchant_id=till.merchant, created_at=datetime.now(UTC) + off))
    ((age_s,),) = till.query(AGE)
    assert isinstance(age_s, float) and 0 <= age_s < 60


async def test_whoever_takes_a_transaction_up_learns_when(till: Till) -> None:
    """Adapters hold it against the lifetime of the processor's key."""
    opened = await till.open()
    assert isinstance(opened, Opened)
    await till.settle(opened.transaction, Unknown())
    taken = await till.store.take_up(till.take_up_row(opened.transaction))
    assert isinstance(taken, OperationOpened)
    transaction = taken.transaction
    assert timedelta() < transaction.updated_at - transaction.created_at < timedelta(minutes=1)
