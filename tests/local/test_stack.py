"""The one command: what it leaves behind, what it keeps, and what it says."""

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from sandbox.local.loopback_http import ask
from sandbox.local.ports import free_port, is_free
from sandbox.local.postgres import EmbeddedPostgres
from sandbox.local.stack import LocalStack, StackError
from tests.acceptance.shop import wait_until
from tests.acceptance.stacks import Platform
from tests.local.processes import PATIENCE_S, ends


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "kassa"
    yield folder
    # As root, the database lies elsewhere and would outlive the folder.
    EmbeddedPostgres(folder / "postgres", password="", durable=False).stop()


@contextmanager
def command(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`make run` but for make."""
    environment = _process_environment(home, port)
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.local", "--end-with-parent"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _process_environment(home: Path, port: int) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "KASSA_HOME": str(home), "KASSA_PORT": str(port), "COLUMNS": "80"}


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Reads what the command prints until a line holds `text`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail("the command ended after:\n" + "".join(lines))


def read_demo(home: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in (home / "demo.env").read_text().splitlines())
    return {name: "".join(shlex.split(value)) for name, _, value in lines}


def payments(demo: dict[str, str]) -> list[str]:
    status, answer = ask(f"{demo['KASSA_URL']}/v1/payments", bearer=demo["KASSA_API_KEY"])
    assert status == 200
    return [payment["id"] for payment in answer["payments"]]


def test_it_survives_sigkill_without_leaving_a_process_and_goes_on_with_its_data(home: Path) -> None:
    port = free_port()
    with command(home, port) as process:
        printed = read_until(process, "-d '{")
        parts = psutil.Process(process.pid).children(recursive=True)
        names = " ".join(word for part in parts for word in part.cmdline())
        for word in ("postgres", "sandbox.serve", "serve", "worker", "envoy"):
            assert word in names
        demo = read_demo(home)
        assert demo["KASSA_URL"] == f"http://127.0.0.1:{port}"
        curl = printed[printed.index("curl") :]
        answer = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        assert answer.stdout.startswith("HTTP/1.1 201"), answer.stdout
        assert re.search(r'"state": ?"COMPLETED"', answer.stdout)
        made = payments(demo)
        process.send_signal(signal.SIGKILL)
        assert all(ends(part.pid) for part in parts)
    assert is_free(port)

    with command(home, port) as process:
        read_until(process, "-d '{")
        assert read_demo(home) == demo
        assert payments(demo) == made
        worker = next(part for part in psutil.Process(process.pid).children() if part.cmdline()[-1] == "worker")
        parts = psutil.Process(process.pid).children(recursive=True)
        worker.kill()
        rest, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert "worker was ended by SIGKILL" in rest
        assert all(ends(part.pid) for part in parts)


def test_ctrl_c_ends_everything_in_good_order(home: Path) -> None:
    port = free_port()
    with command(home, port) as process:
        read_until(process, "-d '{")
        parts = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    assert all(ends(part.pid) for part in parts)
    log = (home / "log" / "postgres.log").read_text()
    assert "database system is shut down" in log
    for name in ("secrets.json", "demo.env"):
        assert (home / name).stat().st_mode & 0o077 == 0


def test_a_taken_port_is_told(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command(home, port) as process:
            printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert f"Port {port} is taken" in printed
    assert f"KASSA_PORT={port + 1} make run" in printed


def test_a_port_that_is_none_is_told(home: Path) -> None:
    environment = _process_environment(home, 0) | {"KASSA_PORT": "http"}
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.local"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "KASSA_PORT" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_killed_server_is_missed_by_nobody_and_can_come_back(tmp_path: Path) -> None:
    with LocalStack(tmp_path / "kassa", durable=False) as stack:
        with pytest.raises(StackError, match="Another stack runs"):
            LocalStack(stack.home).__enter__()
        before = stack.child("server-1").pid
        wait_until(Platform(stack).healthy_servers, lambda count: count == 2)
        stack.kill("server-1")
        assert ask(f"{stack.url}/v1/payments", bearer=stack.demo.api_key)[0] == 200
        assert ask(f"{stack.url}/healthz")[0] == 200
        stack.restart("server-1")
        assert stack.child("server-1").pid != before
    assert is_free(stack.port)
