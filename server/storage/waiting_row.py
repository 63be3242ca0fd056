"""A row that waits in group commit, from its call to its answer. Used by `storage.group_commit` alone."""

import asyncio
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_SUSPECT_AFTER = 3


@dataclass(slots=True, eq=False)
class WaitingRow:
    """One row, and what has become of it so far.

    Attributes:
        since: When it came, and `queued` when it joined its queue last; both of the monotonic clock.
        postponed: How often it rejoined its queue.
        failed: How often its batch failed by an error that Postgres answered.
        in_doubt: The answer to a COMMIT of it was lost, so only writing it once more tells what stands.
    """

    statement: Any
    row: Any
    aggregates: tuple[Hashable, ...]
    future: "asyncio.Future[Any]"
    tenant: Hashable
    urgent: bool
    since: float = field(default_factory=time.monotonic)
    queued: float = 0.0
    postponed: int = 0
    failed: int = 0
    in_doubt: bool = False

    def shares_with(self, other: "WaitingRow") -> bool:
        """Says whether both may be in one batch; what fails again and again is written alone, and harms nobody."""
        return self.statement == other.statement and max(self.failed, other.failed) < _SUSPECT_AFTER

    def is_given_up(self, before: float) -> bool:
        """Says whether it came before then and may be told that nothing was done."""
        return self.since < before and not self.urgent and not self.in_doubt

    def has_failed(self, error: DBAPIError | PoolTimeout) -> None:
        """Takes note of its batch's error; a connection that was lost, or never made, says nothing of the rows."""
        if isinstance(error, DBAPIError) and not error.connection_invalidated:
            self.failed += getattr(error.orig, "pgcode", None) is not None


def answer(answered: Iterable[tuple["asyncio.Future[Any]", Any]]) -> None:
    """Gives each caller its result, or the error that is one. Called on the event loop."""
    for future, result in answered:
        if future.done():  # cancelled with its loop; its neighbours still get theirs
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
