"""Named points where a test may kill this process: around each durable step and each call to a processor.

No use case names one: `durable` marks a function that writes, and the two places that run such functions in a
transaction (`storage.group_commit`, `storage.short_transactions`) pass its points; `around_calls` puts two around each
method of an adapter. So the list of points is what the code itself says. `bootstrap` arms them, for test accounts only.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Moment(StrEnum):
    """Where in a step a point lies."""

    BEFORE = "before"
    """Nothing of the step has happened."""
    WRITTEN = "written"
    """A durable step has written, and not committed."""
    COMMITTED = "committed"
    """It has committed, and nobody has been told."""
    AFTER = "after"
    """The processor has answered, and nobody has made use of it."""


_DURABLE = (Moment.BEFORE, Moment.WRITTEN, Moment.COMMITTED)
_CALL = (Moment.BEFORE, Moment.AFTER)
_points: dict[str, None] = {}
_durable: dict[object, str] = {}
_armed: "CrashPoints | None" = None


class CrashPoints:
    """What a file orders: `{"kill": point, "occurrence": 1}`, `{"trace": path}`, or both.

    Args:
        orders: Read at every point, so that a running process can be armed; nothing is ordered while it is absent.
    """

    def __init__(self, orders: Path) -> None:
        self._orders = orders
        self._passed: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        """Notes the point, and ends the process here and now where the file says so."""
        try:
            orders = json.loads(self._orders.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        if "trace" in orders:
            with Path(orders["trace"]).open("a", encoding="utf-8") as trace:
                trace.write(f"{point}\n")
        if orders.get("kill") == point:
            self._passed[point] += 1
            if self._passed[point] == orders.get("occurrence", 1):
                os.kill(os.getpid(), signal.SIGKILL)


def arm(orders: Path) -> None:
    """Makes the points of this process obey a file from now on."""
    global _armed  # noqa: PLW0603 - decorators run at import, long before anything could be handed to them
    _armed = CrashPoints(orders)


def all_points() -> tuple[str, ...]:
    """Returns every point of the modules that are imported, `<step>.<moment>`, sorted."""
    return tuple(sorted(_points))


def durable(work: Callable[P, T]) -> Callable[P, T]:
    """Marks a function that writes what must not be lost; whoever runs it in a transaction calls `reach`."""
    name = getattr(work, "__name__")  # noqa: B009 - a callable has none, as far as its type says
    assert name not in _durable.values(), f"two durable steps are called {name}"
    _points.update(dict.fromkeys(f"{name}.{moment}" for moment in _DURABLE))
    _durable[work] = name
    return work


def is_durable(work: object) -> bool:
    """Tells whether a function is marked as a durable step."""
    return work in _durable


def reach(work: object, moment: Moment) -> None:
    """Passes a point of a durable step; costs one comparison unless the points are armed."""
    if _armed is not None and (name := _durable.get(work)) is not None:
        _armed.reach(f"{name}.{moment}")


def around_calls(besides: Collection[str] = ()) -> Callable[[type[T]], type[T]]:
    """Puts a point before and after every public coroutine method of an adapter, but for those named in `besides`."""

    def decorate(adapter: type[T]) -> type[T]:
        for name, method in list(vars(adapter).items()):
            if iscoroutinefunction(method) and not name.startswith("_") and name not in besides:
                _points.update(dict.fromkeys(f"{name}.{moment}" for moment in _CALL))
                setattr(adapter, name, _around(name, method))
        return adapter

    return decorate


def _around(name: str, call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    @wraps(call)
    def enter(*args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        return call(*args, **kwargs) if _armed is None else watched(_armed, *args, **kwargs)

    async def watched(points: CrashPoints, *args: Any, **kwargs: Any) -> T:
        points.reach(f"{name}.{Moment.BEFORE}")
        try:
            return await call(*args, **kwargs)
        finally:
            points.reach(f"{name}.{Moment.AFTER}")

    return enter
