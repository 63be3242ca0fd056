"""What is due is worked through account by account: neither a processor that hangs nor a defect holds up the others."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from server.domain.errors import KassaError, Reason
from server.usecases.account_drains import AccountDrains

HANGING, QUICK = UUID(int=1), UUID(int=2)


class Due:
    """Items by account; working on one takes it away."""

    def __init__(self, **items: list[str]) -> None:
        self.items = {HANGING: items.get("hanging", []), QUICK: items.get("quick", [])}
        self.done: list[str] = []

    async def accounts(self) -> list[UUID]:
        return [account for account, items in self.items.items() if items]

    async def of(self, account: UUID, size: int) -> list[str]:
        return self.items[account][:size]

    def finish(self, item: str) -> None:
        self.done.append(item)
        for items in self.items.values():
            if item in items:
                items.remove(item)

    def drains(self, work: Callable[[str], Awaitable[None]], **how: int) -> "AccountDrains[str]":
        return AccountDrains(self.accounts, self.of, work, **{"chunk": 10, "at_once": 4} | how)


async def test_an_account_that_hangs_holds_up_no_other() -> None:
    answer = asyncio.Event()
    due = Due(hanging=["h"], quick=["q1"])

    async def work(item: str) -> None:
        if item == "h":
            await answer.wait()
        due.finish(item)

    drains = due.drains(work)
    assert await drains.start() == 2
    while "q1" not in due.done:
        await asyncio.sleep(0)
    due.items[QUICK].append("q2")
    while await drains.start() != 1:  # the quick account alone is idle again
        await asyncio.sleep(0)
    while "q2" not in due.done:
        await asyncio.sleep(0)
    assert "h" not in due.done
    answer.set()
    await drains.close()
    assert due.done == ["q1", "q2", "h"]


async def test_a_long_list_is_worked_through_in_one_go() -> None:
    due = Due(quick=[f"q{n}" for n in range(25)])

    async def work(item: str) -> None:
        due.finish(item)

    drains = due.drains(work)
    await drains.start()
    await drains.close()
    assert len(due.done) == 25


async def test_one_items_trouble_keeps_no_other_from_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    due = Due(quick=["refused", "broken", "fine"])

    async def work(item: str) -> None:
        if item == "refused":
            raise KassaError(Reason.SERVICE_UNAVAILABLE, "The database cannot be reached.")
        if item == "broken":
            raise ZeroDivisionError
        due.finish(item)

    drains = due.drains(work)
    with caplog.at_level(logging.WARNING):
        await drains.start()
        await drains.close()
    assert due.done == ["fine"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "ZeroDivisionError" in caplog.text


async def test_items_that_stay_due_do_not_keep_it_busy_for_ever() -> None:
    due = Due(quick=["stuck"])
    seen = 0

    async def work(item: str) -> None:
        nonlocal seen
        seen += 1

    drains = due.drains(work, chunk=1)
    await drains.start()
    await asyncio.wait_for(drains.close(), 5)
    assert 1 <= seen < 100
