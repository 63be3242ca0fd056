"""A circuit breaker: stops calling a processor that does not answer, and probes it with one call at a time.

`processors.guarded` keeps one for each processor account.
"""

import time
from collections.abc import Callable


class Circuit:
    """Opens after consecutive failures; after a pause lets single probes through until one succeeds.

    Not thread-safe: it belongs to one event loop.

    Args:
        threshold: Consecutive failures that open it.
        pause_s: Seconds between opening and the first probe, and between probes.
        clock: Monotonic seconds.
    """

    def __init__(self, threshold: int, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold, self._pause_s, self._clock = threshold, pause_s, clock
        self._failures = 0
        self._probe_at: float | None = None
        """When the next probe may go; None while closed."""

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused, but for probes."""
        return self._probe_at is not None

    def allows(self) -> bool:
        """Whether a call may go now; while open, a True makes this call the probe of this pause."""
        if self._probe_at is None:
            return True
        now = self._clock()
        if now < self._probe_at:
            return False
        # The next probe is due a pause later even if this one never ends, so a lost probe cannot keep it open.
        self._probe_at = now + self._pause_s
        return True

    def succeeded(self) -> None:
        """The processor answered, whatever it said."""
        self._failures, self._probe_at = 0, None

    def failed(self) -> bool:
        """The processor did not answer. Returns whether this opened the circuit."""
        self._failures += 1
        if self._failures < self._threshold:
            return False
        opened = self._probe_at is None
        self._probe_at = self._clock() + self._pause_s
        return opened
