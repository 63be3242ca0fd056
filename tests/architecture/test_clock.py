"""The server asks one clock for the time, so that a test can move it."""

import re
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "server"
OTHERS = re.compile(r"datetime\.now|datetime\.today|utcnow|time\.time\(|time\.time_ns|uuid7\(\)")


@pytest.mark.parametrize("path", sorted(SERVER.rglob("*.py")), ids=lambda path: str(path.relative_to(SERVER)))
def test_there_is_one_clock(path: Path) -> None:
    if path.name != "clock.py":
        assert OTHERS.findall(path.read_text(encoding="utf-8")) == []
