"""`python -m sandbox.local`, which `make run` and `kassa run` become: runs the local stack until Ctrl-C."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from sandbox.local.demo import DemoError, first_payment
from sandbox.local.launch import end_with_parent
from sandbox.local.postgres import PostgresError
from sandbox.local.stack import LocalStack, StackError
from sandbox.local.supervisor import PartFailed

DEFAULT_PORT = 8080
_FAILURES = (StackError, PostgresError, PartFailed, DemoError)


class Stopped(BaseException):
    """Somebody asked the stack to stop, by Ctrl-C or a signal."""


class Progress:
    """Prints a line for each step that is done, with its time; a spinner for the one that runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")
        self._step = ""
        self._began = 0.0

    def begin(self, step: str) -> None:
        """Says that `step` begins, hence that the one before is done."""
        self.done()
        self._step, self._began = step, time.monotonic()
        self._status.update(step)
        self._status.start()

    def done(self) -> None:
        """Says that the present step is done."""
        if self._step:
            self._status.stop()
            seconds = time.monotonic() - self._began
            self._console.print(f"[green]✓[/] {self._step:<32}[dim]{seconds:5.1f} s[/]")
        self._step = ""

    def failed(self) -> None:
        """Says that the present step failed."""
        self._status.stop()
        if self._step:
            self._console.print(f"[red]✗[/] {self._step}")
        self._step = ""


def main() -> int:
    """Runs the stack; returns the exit code: 0 when it was asked to stop, 1 when it failed."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.local", description=__doc__)
    arguments.add_argument(
        "--end-with-parent", action="store_true", help="stop when the process that started this dies"
    )
    arguments.add_argument("--servers", type=int, default=2, help="number of server processes")
    options = arguments.parse_args()
    if options.end_with_parent:
        end_with_parent(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    console = Console(highlight=False)
    progress = Progress(console)
    try:
        port = _port(os.environ.get("KASSA_PORT") or str(DEFAULT_PORT))
        home = Path(os.environ.get("KASSA_HOME") or ".kassa")
        with LocalStack(home, port=port, servers=options.servers, on_step=progress.begin) as stack:
            progress.done()
            _greet(console, stack)
            with _farewell(progress):
                stack.wait_for_end()
    except Stopped:
        progress.done()
        return 0
    except _FAILURES as failure:
        progress.failed()
        console.print(str(failure), style="red", markup=False, soft_wrap=True)
        return 1
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise StackError(f"KASSA_PORT is {text!r}, which is no TCP port")
    return int(text)


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """The first one stops in good order; the second ends at once, and the kernel ends the parts."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: os._exit(128 + number))
    raise Stopped


@contextmanager
def _farewell(progress: Progress) -> Iterator[None]:
    try:
        yield
    except BaseException:
        progress.begin("Stopping")
        raise


def _greet(console: Console, stack: LocalStack) -> None:
    lines = [
        "",
        f"Kassa serves REST and gRPC on {stack.url}. Ctrl-C stops it.",
        f"Keys: {stack.home / 'demo.env'}   Logs: {stack.home / 'log'}   Processors: {stack.sandbox_url}/books",
        "",
        "A first payment:",
        "",
        first_payment(stack.url, stack.demo.api_key),
        "",
    ]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
