"""One supervised child process: own session, own log, dies with its parent. Used by Postgres and the supervisor."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sandbox.local import launch

_LAUNCHER: Final = Path(launch.__file__)
_TAIL_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group of the operating system, by number."""

    uid: int
    gid: int


class Child:
    """A running program; the kernel sends it `death_signal` when this process ends, however it ends."""

    def __init__(  # noqa: PLR0913 - each is one fact of a process, all named at the call
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Starts `argv`, whose first item is a path, with standard output and error appended to `log`.

        Args:
            name: how log lines and error messages call it.
            argv: program and arguments.
            log: file that takes what the program prints; it begins with a line that tells the start.
            environment: the whole environment, or None for that of this process.
            account: the user to run as; only root may give one.
            stop_signal: what asks it to end in good order.
            death_signal: what the kernel sends when this process has died.

        Raises:
            RuntimeError: not called on the main thread. The kernel counts the death of the *thread* that started
                a process, so one that was started by a passing thread would end with it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children end with the thread that started them: start them from the main thread")
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        uid, gid = (account.uid, account.gid) if account else (-1, -1)
        ticket = [str(number) for number in (uid, gid, int(death_signal), os.getpid())]
        with log.open("a", encoding="utf-8") as output:
            output.write(f"--- {name} starts at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n")
            output.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _LAUNCHER, *ticket, "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the program itself."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; then its exit code, or minus the number of the signal that ended it."""
        return self._process.poll()

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for its end and tells whether it came."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, timeout: float) -> bool:
        """Asks it to end, kills its whole session after `timeout` seconds; tells whether it ended by itself."""
        if self.exit_status is None:
            self._process.send_signal(self._stop_signal)
        in_order = self.wait(timeout)
        if not in_order:
            self.kill()
        return in_order

    def kill(self) -> None:
        """Ends it and what it started with SIGKILL, and waits for the end."""
        if self.exit_status is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_lines(self, count: int = 20) -> list[str]:
        """Returns the last lines of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-count:]
