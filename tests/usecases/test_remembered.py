"""What was looked up is believed for so long and no longer, and what is in use is looked up again together."""

import asyncio
import gc
import weakref
from collections.abc import Mapping, Sequence

import pytest

from server.domain.errors import KassaError, Reason
from server.usecases import remembered
from server.usecases.remembered import Remembered
from tests.clocks import Clock

KEPT_S = 4.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(remembered, "time", clock := Clock())
    return clock


class Table:
    """Where values are looked up, as they stand now; it takes its time while a test says so."""

    def __init__(self) -> None:
        self.rows: dict[str, str | Exception] = {name: f"{name} 1" for name in "abcdef"}
        self.asked: list[list[str]] = []
        self.fails = self.fails_together = False
        self.opened = asyncio.Event()
        self.opened.set()

    async def read(self, keys: Sequence[str]) -> Mapping[str, str | Exception]:
        self.asked.append(list(keys))
        found, opened = {key: self.rows[key] for key in keys}, self.opened
        await opened.wait()
        if self.fails_together and len(keys) > 1:
            raise RuntimeError("a broken row")
        if self.fails:
            raise KassaError(Reason.SERVICE_UNAVAILABLE, "no database")
        return found


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def values(table: Table) -> Remembered[str, str]:
    return Remembered(table.read, kept_s=KEPT_S, most=5)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_whoever_asks_at_once_shares_a_look_up(table: Table, values: Remembered[str, str], clock: Clock) -> None:
    assert await asyncio.gather(*(values.find("a") for _ in range(20))) == ["a 1"] * 20
    assert await values.find("a") == "a 1"
    assert table.asked == [["a"]]


async def test_a_caller_who_leaves_does_not_end_the_look_up_of_the_others(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    table.opened.clear()
    first, second = (asyncio.ensure_future(values.find("a")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    table.opened.set()
    assert await second == "a 1"
    assert table.asked == [["a"]]


async def test_what_is_in_use_is_read_again_together_and_nobody_waits(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    for key in "abcd":
        await values.find(key)
    for key in "abc":
        await values.find(key)
    table.rows |= {"a": "a 2", "b": "b 2"}
    table.opened.clear()
    clock.now += KEPT_S * 0.6
    assert await values.find("a") == "a 1"
    assert await values.find("c") == "c 1"
    await settle()
    assert [sorted(keys) for keys in table.asked[4:]] == [["a", "b", "c"]]
    table.opened.set()
    await settle()
    assert [await values.find(key) for key in "abc"] == ["a 2", "b 2", "c 1"]
    clock.now += KEPT_S * 0.5
    assert await values.find("d") == "d 1"
    assert table.asked[5:] == [["d"]]  # nobody had used it, so it was forgotten


async def test_nothing_is_believed_for_longer(table: Table, values: Remembered[str, str], clock: Clock) -> None:
    await values.find("a")
    table.rows["a"] = "a 2"
    table.opened.clear()
    clock.now += KEPT_S - 0.01
    assert await values.find("a") == "a 1"  # and it is being read again
    await settle()
    clock.now += 0.01
    waiting = asyncio.ensure_future(values.find("a"))
    await settle()
    assert not waiting.done()
    table.opened.set()
    assert await waiting == "a 2"
    assert table.asked == [["a"], ["a"]]


async def test_a_value_is_as_old_as_its_look_ups_beginning(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    table.opened.clear()
    waiting = asyncio.ensure_future(values.find("a"))
    await settle()
    clock.now += KEPT_S - 1
    table.opened.set()
    assert await waiting == "a 1"
    clock.now += 1
    assert await values.find("a") == "a 1"
    assert len(table.asked) == 2


async def test_an_error_is_that_keys_alone_and_is_not_remembered(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    for key in "ab" * 2:
        await values.find(key)
    table.rows["a"] = KassaError(Reason.PROCESSOR_NOT_CONFIGURED, "none")
    clock.now += KEPT_S * 0.6
    await values.find("b")
    await settle()
    with pytest.raises(KassaError, match="none"):
        await values.find("a")
    assert await values.find("b") == "b 1"
    table.rows["a"] = "a 2"
    assert await values.find("a") == "a 2"


async def test_a_reading_that_fails_is_raised_to_whoever_needs_it(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    for _ in range(2):
        await values.find("a")
    table.fails = True
    clock.now += KEPT_S * 0.6
    assert await values.find("a") == "a 1"
    await settle()
    assert await values.find("a") == "a 1"  # not yet too old
    clock.now += KEPT_S * 0.4
    with pytest.raises(KassaError, match="no database"):
        await values.find("a")
    table.fails = False
    assert await values.find("a") == "a 1"


async def test_a_look_up_that_takes_long_is_joined_by_nobody_who_comes_late(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    """Its answer may be from before the key was revoked, however late it comes."""
    table.opened.clear()
    early = asyncio.ensure_future(values.find("a"))
    await settle()
    table.rows["a"] = "a 2"
    clock.now += KEPT_S
    late = asyncio.ensure_future(values.find("a"))
    await settle()
    table.opened.set()
    assert (await early, await late) == ("a 1", "a 2")
    assert await values.find("a") == "a 2"
    assert table.asked == [["a"], ["a"]]


async def test_a_look_up_that_was_overtaken_changes_nothing(
    table: Table, values: Remembered[str, str], clock: Clock
) -> None:
    table.opened.clear()
    early = asyncio.ensure_future(values.find("a"))
    await settle()
    blocked, table.opened = table.opened, asyncio.Event()
    table.opened.set()
    table.rows["a"] = "a 2"
    clock.now += KEPT_S * 0.5
    assert await values.find("a") == "a 2"
    blocked.set()
    assert await early == "a 1"
    assert await values.find("a") == "a 2"


async def test_what_keeps_keys_from_being_read_together_is_nobody_elses_business(
    table: Table, values: Remembered[str, str], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for key in "ab" * 2:
        await values.find(key)
    table.fails_together = True
    table.rows["b"] = "b 2"
    table.opened.clear()
    clock.now += KEPT_S - 0.01
    await values.find("a")
    await settle()
    clock.now += 0.01
    waiting = asyncio.ensure_future(values.find("b"))
    await settle()
    table.opened.set()
    assert await waiting == "b 2"
    assert "2 keys could not be read together" in caplog.text


async def test_a_look_up_that_fails_when_all_have_left_is_no_noise(
    table: Table, values: Remembered[str, str], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    table.opened.clear()
    table.fails = True
    waiting = asyncio.ensure_future(values.find("a"))
    await settle()
    waiting.cancel()
    await settle()
    table.opened.set()
    await settle()
    gc.collect()
    assert caplog.text == ""
    table.fails = False
    assert await values.find("a") == "a 1"


async def test_what_is_too_old_leaves_the_memory(clock: Clock) -> None:
    async def read(keys: Sequence[str]) -> Mapping[str, set[str] | Exception]:
        return {key: {key} for key in keys}

    values = Remembered[str, set[str]](read, kept_s=0.01, most=5)
    first = weakref.ref(found := await values.find("a"))
    del found
    clock.now += 0.005
    await values.find("b")
    assert first() is not None
    clock.now += 1
    async with asyncio.timeout(5):
        while first() is not None:
            await asyncio.sleep(0.01)


async def test_readings_of_what_is_in_use_keep_apart(table: Table, values: Remembered[str, str], clock: Clock) -> None:
    for key in "abcde":
        await values.find(key)
        clock.now += KEPT_S * 0.02
    for key in "abcde":
        await values.find(key)
    clock.now += KEPT_S * 0.401
    for _ in range(15):
        for key in "abcde":
            await values.find(key)
        await settle()
        clock.now += KEPT_S * 0.01
    assert [sorted(keys) for keys in table.asked[5:]] == [["a"], ["b", "c", "d", "e"]]


async def test_the_oldest_go_first(table: Table, values: Remembered[str, str], clock: Clock) -> None:
    for key in "abcdef":
        await values.find(key)
    await values.find("b")
    await values.find("a")
    assert table.asked[6:] == [["a"]]
