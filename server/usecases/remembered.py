"""Remembers what was looked up for a few seconds. Called by `authenticate` and `processor_accounts_lookup`.

Keys that are in use are read again together, in one statement and before they are too old, so that nobody waits for it
and a hundred busy merchants cost what one does (decision record 71).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from server.usecases.shielding import log_unheard

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_SOON, _APART = 0.5, 0.1
"""Shares of its time: after which a value that is in use is read again; and how far apart such readings are."""
_MOST_AT_ONCE = 1_000


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    since: float
    used: bool = False


class Remembered(Generic[Key, Value]):
    """Looks values up, each at most once at a time.

    Args:
        read: Looks up all of these keys. An error in a value's place is raised to whoever asks for that key, and not
            remembered.
        kept_s: Seconds for which a value is believed, counted from when its look-up began.
        most: Values that are kept; what was looked up longest ago goes first.
    """

    def __init__(
        self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value | Exception]]], *, kept_s: float, most: int
    ) -> None:
        self._read, self._kept_s, self._most = read, kept_s, most
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        """In the order of their look-ups."""
        self._under_way: dict[Key, asyncio.Task[Mapping[Key, Value | Exception]]] = {}
        self._next_reading = 0.0

    async def find(self, key: Key) -> Value:
        """Returns the value of a key; raises what its look-up raised."""
        entry, now = self._entries.get(key), time.monotonic()
        if entry is not None and now - entry.since < self._kept_s:
            entry.used = True
            if now - entry.since >= self._kept_s * _SOON and now >= self._next_reading:
                self._read_what_is_in_use(now)
            return entry.value
        task = self._under_way.get(key) or self._begin([key])
        value = (await asyncio.shield(task))[key]  # others may wait for it too, whoever leaves
        if isinstance(value, Exception):
            raise value
        return value

    def _read_what_is_in_use(self, now: float) -> None:
        """Begins to read again what was used since its look-up and will be too old soon; forgets what is."""
        self._next_reading = now + self._kept_s * _APART
        soon: list[Key] = []
        for key, entry in list(islice(self._entries.items(), _MOST_AT_ONCE)):
            age_s = now - entry.since
            if age_s < self._kept_s * _SOON:
                break
            if age_s >= self._kept_s:
                del self._entries[key]
            elif entry.used and key not in self._under_way:
                soon.append(key)
        if soon:
            self._begin(soon).add_done_callback(log_unheard)

    def _begin(self, keys: Sequence[Key]) -> "asyncio.Task[Mapping[Key, Value | Exception]]":
        task = asyncio.get_running_loop().create_task(self._look_up(keys))
        self._under_way |= dict.fromkeys(keys, task)
        return task

    async def _look_up(self, keys: Sequence[Key]) -> Mapping[Key, Value | Exception]:
        since = time.monotonic()
        try:
            found = await self._read(keys)
        finally:
            for key in keys:
                del self._under_way[key]
        for key, value in found.items():
            self._entries.pop(key, None)
            if not isinstance(value, Exception):
                self._entries[key] = _Entry(value, since)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return found
