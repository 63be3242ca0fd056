"""Work goes on when its caller leaves, and what becomes of it is told where somebody may look."""

import asyncio
import logging

import pytest

from server.domain.errors import KassaError, Reason
from server.usecases.shielding import Shield


async def leave(shield: Shield, error: Exception) -> None:
    """Calls something that will fail, and leaves before it does; returns once it has."""
    going_on = asyncio.Event()

    async def work() -> None:
        await going_on.wait()
        raise error

    caller = asyncio.create_task(shield.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    going_on.set()
    await shield.drain()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("error", "logged"), [(KassaError(Reason.PAYMENT_STATE_INVALID, "no"), []), (ValueError("defect"), ["defect"])]
)
async def test_a_refusal_that_nobody_hears_is_no_trouble_and_a_defect_is(
    caplog: pytest.LogCaptureFixture, error: Exception, logged: list[str]
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with caplog.at_level(logging.INFO):
        await leave(Shield(), error)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == logged
    assert complaints == []
