"""What processes cost: CPU seconds and memory, as the kernel counts them (`/proc`)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

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
    times = root.cpu_times()
    seconds = float(times.user + times.system + times.children_user + times.children_system)
    for child in root.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since, and counts with its parent from now on
            own = child.cpu_times()
            seconds += own.user + own.system + own.children_user + own.children_system
    return seconds
