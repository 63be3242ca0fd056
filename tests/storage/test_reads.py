"""The read threads, and whether Postgres can be reached at all."""

import pytest

from server.domain.errors import KassaError, Reason
from server.storage.engine import Reads, make_engine
from server.storage.reads import get_payment
from tests.storage.conftest import Till


async def test_postgres_answers_or_does_not(till: Till) -> None:
    here, nowhere = Reads(till.engine, 1), make_engine("postgresql+psycopg2://nobody@127.0.0.1:9/none", 1)
    away = Reads(nowhere, 1)
    assert await here.answers()
    assert not await away.answers()
    with pytest.raises(KassaError) as refusal:
        await away.run(get_payment, till.merchant, till.merchant)
    assert refusal.value.reason is Reason.SERVICE_UNAVAILABLE
    here.close()
    away.close()


async def test_a_payment_is_read_as_it_was_written(till: Till) -> None:
    payment = await till.charged()
    assert await till.store.read(get_payment, payment.merchant_id, payment.id) == payment
