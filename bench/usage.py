"""What processes cost: CPU seconds and memory, as the kernel counts them (`/proc`)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil

Groups = Mapping[str, Sequence[int]]
"""Process ids by the name under which they are counted; their children count with them."""


def cpu_seconds(groups: Groups) -> dict[str, float]:
    """Returns user and system time of each group so far, also of children that have ended and were waited for."""
    return {name: sum(_tree_seconds(pid) for pid in pids) for name, pids in groups.items()}


def memory_bytes(pid: int) -> int:
    """Returns a process's resident memory."""
    return int(psutil.Process(pid).memory_info().rss)


def thread_count(pid: int) -> int:
    """Returns how many threads a process has."""
    return int(psutil.Process(pid).num_threads())


def _tree_seconds(pid: int) -> float:
    root = psutil.Process(pid)
    while True:
        ended = _of_ended(root.cpu_times())
        living = 0.0
        for child in root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                own = child.cpu_times()
                living += own.user + own.system + _of_ended(own)
        now = root.cpu_times()
        # A child that ended amid this is in neither number, or in both: look again.
        if _of_ended(now) == ended:
            return float(now.user + now.system + ended + living)


def _of_ended(times: Any) -> float:
    """The CPU of children that have ended and were waited for."""
    return float(times.children_user + times.children_system)
