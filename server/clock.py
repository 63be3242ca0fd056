"""What time it is, in UTC: the one clock of servers and workers, read by every layer.

Where a test says so, the clock is off by what a file holds, as a machine's clock may be. Leases and the lifetimes of
processors' keys are counted on the database's clock, so that no server's clock decides over money alone.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_LOOK_EVERY_S = 0.1


class Offset:
    """Seconds by which a file says that the clock is off; looked at ten times a second at most."""

    def __init__(self, path: Path) -> None:
        self._path, self._seconds, self._looked_at = path, 0.0, float("-inf")

    def seconds(self) -> float:
        """The offset; 0 where there is no file, and the last one known while the file is being written."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            try:
                self._seconds = float(self._path.read_text(encoding="ascii") or self._seconds)
            except FileNotFoundError:
                self._seconds = 0.0
        return self._seconds


class _Clock:
    """Of this process; right, unless `mislead` was called at its start."""

    offset: Offset | None = None


def mislead(path: Path | None) -> None:
    """Lets this process believe the offset in a file, which may change; None: the machine's own clock.

    `settings` allows a file in test mode alone.
    """
    _Clock.offset = None if path is None else Offset(path)


def utc_now() -> datetime:
    """Returns the present time, aware and in UTC."""
    now = datetime.now(UTC)
    return now if _Clock.offset is None else now + timedelta(seconds=_Clock.offset.seconds())


def nanoseconds() -> int | None:
    """Returns the nanoseconds since 1970 that a UUIDv7 is to be made from; None where the machine's clock is right."""
    return None if _Clock.offset is None else time.time_ns() + int(_Clock.offset.seconds() * 1e9)
