"""One server process holds a thousand payments at a processor that takes five seconds, without a thread each."""

import asyncio

import aiohttp
import psutil
import pytest

from tests.acceptance.shop import order
from tests.acceptance.stacks import Platform

pytestmark = pytest.mark.xdist_group("breakable")

PAYMENTS = 1_000
PROCESSOR_S = 5.0


async def test_a_thousand_payments_wait_at_a_slow_processor(single_server_stack: Platform) -> None:
    stack = single_server_stack
    shop = stack.new_shop()
    stack.fault(kind="latency", operation="stripe.payment_intents.create", seconds=PROCESSOR_S)
    server = psutil.Process(stack.pid("server-1"))
    before = server.num_threads()
    most = most_waiting = 0
    under_way = "SELECT count(*) FROM payments WHERE state = 'PROCESSING'"

    async def pay(session: aiohttp.ClientSession, number: int) -> int:
        headers = {"authorization": f"Bearer {shop.api_key}", "idempotency-key": f"order-{number}"}
        body = order()
        await asyncio.sleep(number / 450)  # below the rate that a key may have
        while True:
            async with session.post(f"{shop.url}/v1/payments", json=body, headers=headers) as response:
                final = "error" not in await response.json()
            if final and response.status == 503:  # the connection to the processor was not made in time
                headers["idempotency-key"] += "-again"
            elif response.status not in {202, 409, 503, 504}:
                return response.status
            await asyncio.sleep(1)  # more came at once than a small machine can take up, or answer in time

    async def watch() -> None:
        nonlocal most, most_waiting
        while True:
            most = max(most, server.num_threads())
            [(waiting,)] = await asyncio.to_thread(stack.query, under_way)
            most_waiting = max(most_waiting, int(str(waiting)))
            await asyncio.sleep(0.2)

    watching = asyncio.ensure_future(watch())
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        async with asyncio.timeout(300):
            codes = await asyncio.gather(*(pay(session, number) for number in range(PAYMENTS)))
    watching.cancel()
    stack.heal()
    assert set(codes) == {201}
    assert sum(entry["captured"] for entry in shop.books()) == PAYMENTS * 1999
    assert most_waiting > 100  # where a machine is quick, nearly all wait together
    assert most - before < 50
