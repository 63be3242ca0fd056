"""Remembers what was looked up for a few seconds. Called by `authenticate` and `processor_accounts_lookup`.

Keys that are in use are read again together, in one statement and before they are too old, so that nobody waits for it
and a hundred busy merchants cost what one does (decision record 71).
"""

import asyncio
import contextvars
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from server.domain.errors import KassaError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_SOON, _APART, _JOINED = 0.5, 0.1, 0.25
"""Shares of the time for which a value is believed: after which one in use is read again, how far apart such readings
are, and for how long others may join a look-up that is under way."""
_MOST_AT_ONCE = 1_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    since: float
    used: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _LookUp(Generic[Key, Value]):
    keys: Sequence[Key]
    task: "asyncio.Task[Mapping[Key, Value | Exception]]"
    since: float


class Remembered(Generic[Key, Value]):
    """Looks values up, each once for all who ask for it at the same time.

    Args:
        read: Looks up all of these keys. An error in a value's place is raised to whoever asks for that key, and not
            remembered.
        kept_s: Seconds for which a value is believed, counted from when its look-up began, and kept.
        most: Values that are kept; what nobody has asked for longest goes first.
    """

    def __init__(
        self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value | Exception]]], *, kept_s: float, most: int
    ) -> None:
        self._read, self._kept_s, self._most = read, kept_s, most
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        """What was read or asked for last stands last."""
        self._under_way: dict[Key, _LookUp[Key, Value]] = {}
        self._next_reading = 0.0
        self._forgetting: asyncio.TimerHandle | None = None

    async def find(self, key: Key) -> Value:
        """Returns the value of a key; raises what its look-up raised."""
        entry, now = self._entries.get(key), time.monotonic()
        if entry is not None and now - entry.since < self._kept_s:
            entry.used = True
            self._entries.move_to_end(key)
            if now - entry.since >= self._kept_s * _SOON and now >= self._next_reading:
                self._read_what_is_in_use(now)
            return entry.value
        look_up = await self._join(key)
        while len(look_up.keys) > 1 and look_up.task.exception() is not None:  # perhaps for another key's sake
            look_up = await self._join(key)
        value = look_up.task.result()[key]
        if isinstance(value, Exception):
            raise value.with_traceback(None)
        return value

    async def _join(self, key: Key) -> _LookUp[Key, Value]:
        """Waits for the end of a look-up of the key, a young one that is under way or a new one."""
        look_up, now = self._under_way.get(key), time.monotonic()
        if look_up is None or now - look_up.since >= self._kept_s * _JOINED:
            look_up = self._begin([key], now)
        await asyncio.wait((look_up.task,))  # which goes on for the others, whoever leaves
        return look_up

    def _read_what_is_in_use(self, now: float) -> None:
        """Begins to read again what was asked for since its look-up and will be too old soon."""
        self._next_reading = now + self._kept_s * _APART
        latest = islice(reversed(self._entries.items()), _MOST_AT_ONCE)
        soon = [
            key for key, entry in latest
            if entry.used and self._kept_s * _SOON <= now - entry.since < self._kept_s and key not in self._under_way
        ]  # fmt: skip
        if soon:
            self._begin(soon, now)

    def _begin(self, keys: Sequence[Key], now: float) -> _LookUp[Key, Value]:
        # In a context of its own: it is no part of the call that happens to begin it.
        task = asyncio.get_running_loop().create_task(self._ask(keys), context=contextvars.Context())
        look_up = _LookUp(keys, task, now)
        self._under_way |= dict.fromkeys(keys, look_up)
        task.add_done_callback(lambda _: self._end(look_up))
        return look_up

    async def _ask(self, keys: Sequence[Key]) -> Mapping[Key, Value | Exception]:
        return await self._read(keys)

    def _end(self, look_up: _LookUp[Key, Value]) -> None:
        for key in look_up.keys:
            if self._under_way.get(key) is look_up:
                del self._under_way[key]
        if look_up.task.cancelled():
            return
        error = look_up.task.exception()
        if error is None:
            self._keep(look_up)
        elif len(look_up.keys) > 1 and not isinstance(error, KassaError):
            _log.error("%d keys could not be read together", len(look_up.keys), exc_info=error)

    def _keep(self, look_up: _LookUp[Key, Value]) -> None:
        for key, value in look_up.task.result().items():
            known = self._entries.get(key)
            if known is not None and known.since > look_up.since:
                continue  # it was overtaken
            self._entries.pop(key, None)
            if not isinstance(value, Exception):
                self._entries[key] = _Entry(value, look_up.since)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        self._forget_later()

    def _forget_later(self) -> None:
        if self._entries and self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().call_later(self._kept_s, self._forget)

    def _forget(self) -> None:
        """Drops what is too old, credentials above all."""
        self._forgetting, now = None, time.monotonic()
        while self._entries and now - next(iter(self._entries.values())).since >= self._kept_s:
            self._entries.popitem(last=False)
        self._forget_later()
