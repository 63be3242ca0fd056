"""Log lines are JSON, and hold no secret whoever writes them."""

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from server.logs import Lines, configure
from server.settings import LogLevel

SECRETS = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "378282246310005",
    "sk_test_51AbCdEfGhIjKlMn",
    "sk_platform_0123456789abcdef",
    "rk_live_0123456789abcdef",
    "whsec_0123456789abcdef",
]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Puts logging back as it was for the other tests."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("secret", SECRETS)
def test_both_kinds_of_logger_are_scrubbed(secret: str, capfd: pytest.CaptureFixture[str]) -> None:
    lines_of_ours = configure(LogLevel.INFO)
    structlog.get_logger().info("call", detail={"body": [f"charge {secret} now"]})
    lines_of_ours.flush()
    logging.getLogger("library").warning("charge %s now", secret)
    try:
        raise ValueError(f"cannot charge {secret}")
    except ValueError:
        logging.getLogger("library").exception("failed")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert len(lines) == 3
    assert secret not in json.dumps(lines)
    assert lines[1]["logger"] == "library" and lines[1]["level"] == "warning"
    assert "ValueError" in lines[2]["exception"]


@pytest.mark.parametrize("harmless", ["01995b1c-7a3e-7cc3-98c4-dc0c0c07398f", "4242424242424241", "order 12345678"])
def test_what_only_looks_alike_stays(harmless: str, capfd: pytest.CaptureFixture[str]) -> None:
    lines = configure(LogLevel.INFO)
    structlog.get_logger().info("call", detail=harmless)
    lines.flush()
    assert json.loads(capfd.readouterr().err)["detail"] == harmless


def test_the_level_holds_for_both(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogLevel.WARNING)
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    assert capfd.readouterr().err == ""


def test_lines_of_calls_come_soon_and_a_warning_at_once_after_them(capfd: pytest.CaptureFixture[str]) -> None:
    configure(LogLevel.INFO)
    structlog.get_logger().info("first")
    structlog.get_logger().warning("second")
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["first", "second"]
    structlog.get_logger().info("third")
    deadline = time.monotonic() + 10
    written = ""
    while not written and time.monotonic() < deadline:
        time.sleep(0.02)
        written = capfd.readouterr().err
    assert json.loads(written)["event"] == "third"


def test_no_line_is_lost_or_torn_where_many_threads_write(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        lines = Lines(stream)
        with ThreadPoolExecutor(8) as threads:
            for number in range(2_000):
                threads.submit(lines.info if number % 50 else lines.warning, f"line {number}")
        lines.flush()
        assert sorted(path.read_text().splitlines()) == sorted(f"line {number}" for number in range(2_000))
