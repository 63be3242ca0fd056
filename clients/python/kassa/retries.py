"""How often and when a call is repeated; called by both clients.

gRPC's own retry policy would not do: it gives up once a server has sent headers, and the gateway sends some with every
error.
"""

import random
from dataclasses import dataclass

from kassa.errors import KassaError

_FIRST_S, _LONGEST_S = 0.1, 5.0
_PATIENCE_S = 60.0
"""Whoever is to wait for longer, as for the end of a day, is told instead."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Repeats what may be repeated, `attempts` times in all."""

    attempts: int

    def delay(self, error: KassaError, attempt: int) -> float | None:
        """Returns the seconds to wait after the attempt of this number, from 1, or None where it was the last.

        Waits as long as the gateway asks, if it does, and beyond that twice as long each time, and at random, so that
        many clients that failed together do not come back together.
        """
        if attempt >= self.attempts or not error.repeatable or (error.retry_after or 0.0) > _PATIENCE_S:
            return None
        backoff: float = min(_LONGEST_S, _FIRST_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        return (error.retry_after or 0.0) + backoff
