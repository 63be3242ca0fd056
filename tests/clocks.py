"""A stand-in for the module `time`."""


class Clock:
    """Stands still until a test moves it; `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now
