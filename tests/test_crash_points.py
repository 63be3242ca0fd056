"""Crash points: nothing happens at them until they are armed; then a file orders a trace, or the end of the process."""

import json
import signal
import subprocess
import sys
from pathlib import Path

WORK = """
import sys
from pathlib import Path
from server.crash_points import Moment, arm, durable, reach

@durable
def work():
    reach(work, Moment.WRITTEN)

if len(sys.argv) > 1:
    arm(Path(sys.argv[1]))
for _ in range(3):
    work()
"""


def run(*arguments: object) -> int:
    """Writes three times in a process of its own, and returns how it ended."""
    return subprocess.run([sys.executable, "-c", WORK, *map(str, arguments)], check=False).returncode


def test_unarmed_points_are_passed() -> None:
    assert run() == 0


def test_without_orders_points_are_passed(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere.json") == 0


def test_a_process_dies_at_the_point_and_the_time_that_are_named(tmp_path: Path) -> None:
    orders, trace = tmp_path / "orders.json", tmp_path / "trace"
    orders.write_text(json.dumps({"kill": "work.written", "occurrence": 2, "trace": str(trace)}))
    assert run(orders) == -signal.SIGKILL
    assert trace.read_text().split() == ["work.written"] * 2


def test_a_process_lives_through_other_points(tmp_path: Path) -> None:
    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps({"kill": "work.committed"}))
    assert run(orders) == 0
