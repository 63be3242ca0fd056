"""The design of the guide that the project began with, run as it stands: a baseline. Called by `bench.standard`.

It is no part of this repository: a folder with `app.py`, an application of FastAPI, which reads `DATABASE_URL`, and
makes its tables when it is run.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM
from typing import Final

from bench.usage import Groups
from sandbox.local.child import Child
from sandbox.local.ports import LOOPBACK, free_port, is_free

EXPECTED: Final = '"status":"completed"'
"""What an answer holds that is as it should be."""
_READY_S: Final = 30.0
_STOP_S: Final = 10.0
_POLL_S: Final = 0.05


def why_not(folder: Path) -> str:
    """Returns why the guide's design cannot be run, or nothing where it can."""
    if not (folder / "app.py").is_file():
        return f"{folder} has no app.py"
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    return f"{' and '.join(missing)} cannot be imported" if missing else ""


@contextmanager
def open_guide(folder: Path, dsn: str, log: Path, *, workers: int = 2) -> Iterator[tuple[tuple[str, int], Groups]]:
    """Runs it for the block; gives its address and its processes.

    Args:
        dsn: Of an empty database, for SQLAlchemy.
        log: File that takes what it prints.

    Raises:
        RuntimeError: It did not start; the text is what it said.
    """
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": dsn, "PYTHONDONTWRITEBYTECODE": "1"}
    made = subprocess.run(
        [sys.executable, "app.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise RuntimeError(f"the guide's design did not make its tables:\n{made.stderr}")
    options = ["--app-dir", str(folder), "--host", LOOPBACK, "--port", str(port), "--workers", str(workers)]
    child = Child(
        "guide",
        [sys.executable, "-m", "uvicorn", "app:app", *options, "--log-level", "warning", "--no-access-log"],
        log=log,
        environment=environment,
        death_signal=SIGTERM,  # so that it takes its workers with it
    )
    try:
        _wait_ready(child, port)
        yield (LOOPBACK, port), {"server": [child.pid]}
    finally:
        child.stop(_STOP_S)


def _wait_ready(child: Child, port: int) -> None:
    deadline = time.monotonic() + _READY_S
    while is_free(port):
        if child.exit_status is not None or time.monotonic() > deadline:
            raise RuntimeError("the guide's design did not start:\n" + "\n".join(child.last_lines()))
        time.sleep(_POLL_S)
    time.sleep(1.0)  # the port is bound before the workers have imported the application
