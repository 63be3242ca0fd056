"""Strikes the running stack: kills, pauses, disconnects, moves clocks; and heals all of it. Main thread only."""

import os
import signal
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from sandbox.local import parts
from sandbox.local.loopback_http import ask
from sandbox.local.stack import LocalStack
from sandbox.simulator.weather import PARTS, Blow, Rule, Strike

_TERMINATE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename IN (%s, %s)"


def clock_file(home: Path, part: str) -> Path:
    """Where a part reads by how many seconds its clock is off."""
    return home.resolve() / f"clock-{part}"


@dataclass(slots=True)
class Havoc:
    """What was done to the stack and is not undone yet.

    Attributes:
        dealt: How often each fault struck.
    """

    stack: LocalStack
    dealt: Counter[str] = field(default_factory=Counter)
    _asleep: dict[str, float] = field(default_factory=dict)
    _dead: dict[str, float] = field(default_factory=dict)

    def rain(self, rules: list[Rule]) -> None:
        """Puts the processors' faults in force."""
        for rule in rules:
            self._sandbox("/sandbox/faults", body=dict(rule))

    def strike(self, strike: Strike) -> None:
        """Deals one blow; what is to end later ends in `tick`."""
        part, now = strike.part, time.monotonic()
        if strike.blow in {Blow.KILL_SERVER, Blow.KILL_WORKER, Blow.PAUSE_SERVER} and self._is_down(part):
            return
        self.dealt[strike.blow.value] += 1
        match strike.blow:
            case Blow.KILL_SERVER | Blow.KILL_WORKER:
                self.stack.kill(part)
                self._dead[part] = now + strike.seconds
            case Blow.PAUSE_SERVER:
                os.kill(self.stack.child(part).pid, signal.SIGSTOP)
                self._asleep[part] = now + strike.seconds
            case Blow.DISCONNECT:
                self._disconnect()
            case Blow.CRASH_POSTGRES:
                self.stack.postgres.child.kill()
                self.stack.postgres.start()
            case Blow.CUT_BEFORE_COMMIT:
                os.kill(self.stack.child(parts.COMMIT_PROXY).pid, signal.SIGUSR1)
            case Blow.CUT_AFTER_COMMIT:
                os.kill(self.stack.child(parts.COMMIT_PROXY).pid, signal.SIGUSR2)
            case Blow.JUMP_CLOCK:
                self._set_clock(part, strike.seconds)

    def tick(self) -> None:
        """Wakes and starts again what has been away for its time."""
        now = time.monotonic()
        for part in [part for part, until in self._asleep.items() if until <= now]:
            self._wake(part)
        for part in [part for part, until in self._dead.items() if until <= now]:
            self._revive(part)

    def heal(self) -> None:
        """Ends every fault: the processors behave, all parts run, the clocks are right."""
        self._count_rain()
        self._sandbox("/sandbox/faults", method="DELETE")
        for part in PARTS:
            self._set_clock(part, 0.0)
        self.wake_all()
        for part in list(self._dead):
            self._revive(part)

    def wake_all(self) -> None:
        """Wakes what sleeps, which could not even be asked to stop."""
        for part in list(self._asleep):
            self._wake(part)

    def _is_down(self, part: str) -> bool:
        return part in self._asleep or part in self._dead

    def _wake(self, part: str) -> None:
        del self._asleep[part]
        os.kill(self.stack.child(part).pid, signal.SIGCONT)

    def _revive(self, part: str) -> None:
        del self._dead[part]
        self.stack.restart(part)

    def _disconnect(self) -> None:
        with closing(psycopg2.connect(self.stack.postgres.dsn())) as connection, connection.cursor() as cursor:
            cursor.execute(_TERMINATE, (parts.WRITER, parts.READER))

    def _set_clock(self, part: str, seconds: float) -> None:
        clock_file(self.stack.home, part).write_text(f"{seconds:.0f}", encoding="ascii")

    def _count_rain(self) -> None:
        _, answer = ask(f"{self.stack.sandbox_url}/sandbox/faults")
        for fault in answer["faults"]:
            kind = fault["kind"]
            name = f"{kind}_{fault['status']}" + ("_booked" if fault["booked"] else "") if kind == "error" else kind
            self.dealt[name] += fault["hits"]

    def _sandbox(self, path: str, body: dict[str, object] | None = None, method: str | None = None) -> None:
        status, answer = ask(f"{self.stack.sandbox_url}{path}", body=body, method=method, timeout=30.0)
        assert status == 200, f"{path}: {answer}"
