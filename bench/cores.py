"""Cores for the gateway and cores for whoever calls it: as on machines of their own, neither takes the other's time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Cores = frozenset[int]


def everything() -> Cores:
    """Returns the cores that this process may use."""
    return frozenset(os.sched_getaffinity(0))


def halves() -> tuple[Cores, Cores]:
    """Splits the cores that this process may use in two; where there is but one, both are that one."""
    cores = sorted(everything())
    half = len(cores) // 2
    return frozenset(cores[half:]), frozenset(cores[:half] or cores)


@contextmanager
def on(cores: Cores) -> Iterator[None]:
    """Meanwhile this thread runs on these cores alone, and so does for ever whatever it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def move(pid: int, cores: Cores) -> None:
    """Lets a process that runs already, with all its threads, use these cores alone."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that has ended since
            os.sched_setaffinity(int(task.name), cores)
