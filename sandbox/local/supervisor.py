"""Starts the parts of the stack, watches them, stops them in the opposite order. Used by `stack.LocalStack`."""

import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import close, pidfd_open
from pathlib import Path

from sandbox.local.child import Child
from sandbox.local.readiness import Check

_POLL_SECONDS = 0.05


class PartFailed(Exception):
    """A part of the stack ended by itself, or never got ready; the text holds its last log lines."""

    def __init__(self, name: str, what: str, log: Path, last_lines: Sequence[str]) -> None:
        self.name = name
        self.log = log
        super().__init__(
            "\n".join([f"{name} {what}. The end of {log}:", *(f"  {name} | {line}" for line in last_lines)])
        )


@dataclass(frozen=True, slots=True)
class Part:
    """How one part runs.

    Attributes:
        name: unique in the stack; also the name of its log file.
        argv: program and arguments; the first item is a path.
        environment: all of its environment.
        ready: tells whether it serves; None for a part that nobody waits for.
        ready_seconds: how long it may take until then.
        stop_seconds: how long it may take to end in good order.
    """

    name: str
    argv: Sequence[str | Path]
    environment: Mapping[str, str]
    ready: Check | None = None
    ready_seconds: float = 60.0
    stop_seconds: float = 10.0


class Supervisor:
    """The parts that run, by name, in the order of their first start. All methods belong to the main thread."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._parts: dict[str, Part] = {}
        self._children: dict[str, Child] = {}
        log_folder.mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> Path:
        """Returns the path of a part's log."""
        return self._log_folder / f"{name}.log"

    def start(self, part: Part) -> None:
        """Starts a part without waiting for it. A log from before its first start is kept as `….log.1`."""
        log = self.log(part.name)
        if part.name not in self._parts and log.exists():
            log.replace(log.with_suffix(".log.1"))
        self._parts[part.name] = part
        self._children[part.name] = Child(part.name, part.argv, log=log, environment=part.environment)

    def restart(self, name: str) -> None:
        """Starts a part that has ended once more, as it was, and waits until it is ready."""
        if self._children[name].exit_status is None:
            raise RuntimeError(f"{name} still runs")
        self.start(self._parts[name])
        self.wait_ready(name)

    def adopt(self, child: Child) -> None:
        """Watches a process that somebody else starts and stops."""
        self._children[child.name] = child

    def wait_ready(self, name: str) -> None:
        """Waits until a part serves.

        Raises:
            PartFailed: it ended, or its time ran out.
        """
        part, child = self._parts[name], self._children[name]
        deadline = time.monotonic() + part.ready_seconds
        while part.ready is not None and not part.ready():
            self.check_alive(name)
            if time.monotonic() > deadline:
                raise PartFailed(name, f"was not ready after {part.ready_seconds:.0f} s", child.log, child.last_lines())
            time.sleep(_POLL_SECONDS)
        self.check_alive(name)

    def check_alive(self, *names: str) -> None:
        """Raises PartFailed for the first of these parts (or of all) that has ended."""
        for name in names or self._children:
            child = self._children[name]
            if child.exit_status is not None:
                raise PartFailed(name, _describe(child.exit_status), child.log, child.last_lines())

    def child(self, name: str) -> Child:
        """Returns the process of a part, running or not.

        Raises:
            KeyError: there is no such part.
        """
        return self._children[name]

    def wait_for_end(self) -> None:
        """Waits until any part ends.

        Raises:
            PartFailed: always, for the part that ended.
        """
        poll = select.poll()
        descriptors = [pidfd_open(child.pid) for child in self._children.values() if child.exit_status is None]
        try:
            for descriptor in descriptors:
                poll.register(descriptor, select.POLLIN)
            while True:
                self.check_alive()
                poll.poll()
        finally:
            for descriptor in descriptors:
                close(descriptor)

    def stop(self, on_stopping: Callable[[str], None] = lambda name: None) -> None:
        """Stops the parts it started, the last one first; kills what does not end in its time."""
        for name, part in reversed(self._parts.items()):
            on_stopping(name)
            self._children[name].stop(part.stop_seconds)


def run_to_end(part: Part, log: Path) -> str:
    """Runs a part that does one thing and ends, such as a migration, and returns what it printed.

    Raises:
        PartFailed: it answered with another exit code than 0, or took longer than its `ready_seconds`.
    """
    try:
        done = subprocess.run(
            part.argv,
            env=part.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=part.ready_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PartFailed(part.name, f"took longer than {part.ready_seconds:.0f} s", log, []) from None
    log.write_text(done.stderr, encoding="utf-8")
    if done.returncode != 0:
        raise PartFailed(part.name, _describe(done.returncode), log, done.stderr.splitlines()[-20:])
    return done.stdout


def _describe(exit_status: int) -> str:
    if exit_status < 0:
        return f"was ended by {signal.Signals(-exit_status).name}"
    return f"ended with exit code {exit_status}"
