"""Group commit: while one transaction commits, requests that arrive wait in a list, and the next one takes them all.

No timer: an idle server commits at once, a busy one batches by itself. Every payment's write passes through here.
"""

import asyncio
import heapq
import itertools
import logging
import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.crash_points import Moment, reach
from server.domain.errors import KassaError, Reason
from server.storage.transactions import Transactions, error_name, is_rows_fault
from server.storage.waiting_row import WaitingRow, answer

Row = TypeVar("Row")
Result = TypeVar("Result")


class Postponed:
    """A statement's answer for a row whose aggregate somebody else holds locked: the row rejoins the queue."""


POSTPONED = Postponed()
Statement = Callable[[Connection, Sequence[Row]], Sequence[Result | Postponed | KassaError]]
"""Writes a batch inside one transaction: as many results as rows, in their order. It must not commit."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A transaction that was committed: its rows; the wait of the oldest, its statements and its COMMIT in seconds."""

    rows: int
    waited_s: float
    write_s: float
    commit_s: float


def _nobody(batch: Batch) -> None:
    pass


def overloaded() -> KassaError:
    """What new work is told that comes faster than it can be written."""
    return KassaError(Reason.OVERLOADED, "Too much work is waiting; nothing was done. Try again shortly.")


_log = logging.getLogger(__name__)
_LOOK_AHEAD = 4
_STANDSTILL_S = 1.0
_ROOM_S, _LEAST_ROOM = 0.15, 32
_SHARE_OF_ONE_TENANT = 4
_FIRST_POSTPONEMENT_S, _LONGEST_POSTPONEMENT_S = 0.005, 0.2


class GroupCommit:
    """A queue, a few writer threads, and one future per row.

    Args:
        engine: Transactions are begun and ended by hand there (`make_engine(…, alone=True)`); its pool must hold more
            than `writers` connections.
        writers: Threads; each has one transaction open at a time.
        batch: Most rows of one transaction.
        waiting: Rows that may wait before new ones are refused, a quarter of them of one tenant; urgent rows are
            never refused.
        longest_wait_s: Seconds of a standing queue: new rows are refused while some wait and the last that were taken
            had waited longer. A burst that is worked off before that is no overload, however large.
        patience_s: Seconds after which an ordinary row gives up on a database that is away; urgent rows never do.
        abandoned_s: Seconds after which nobody waits for an ordinary row, whatever made it late: it is not written.
        observe: Told of each batch, on the writers' threads.
    """

    def __init__(  # noqa: PLR0913 - sizes of one queue, each with a good default
        self, engine: Engine, *, writers: int = 2, batch: int = 100, waiting: int = 10_000, longest_wait_s: float = 0.2,
        patience_s: float = 5.0, abandoned_s: float = 25.0,
        observe: Callable[[Batch], None] = _nobody,
    ) -> None:  # fmt: skip
        self._observe = observe
        self._transactions = Transactions(engine)
        self._batch, self._waiting, self._patience_s, self._abandoned_s = batch, waiting, patience_s, abandoned_s
        self._urgent: deque[WaitingRow] = deque()
        self._ordinary: OrderedDict[Hashable, deque[WaitingRow]] = OrderedDict()
        self._ordinary_count = 0
        self._longest_wait_s = longest_wait_s
        self._last_wait_s = 0.0
        """How long the oldest of the last ordinary batch had waited in the queue; 0 where it left nobody behind."""
        self._held = 0
        """Rows of the queue that wait for their aggregate and not for their turn."""
        self._last_taken = 0.0
        self._committing_s = 0.0
        """Spent in COMMIT since then: that takes as long for few rows as for many."""
        self._room = min(batch, _LEAST_ROOM)
        """New rows that may wait before no more should be taken up: as many as are written in `_ROOM_S`."""
        self._room_made = asyncio.Event()
        self._in_flight: set[Hashable] = set()
        self._later: list[tuple[float, int, WaitingRow]] = []
        """Rows that were postponed, a heap by when they rejoin their queue."""
        self._numbers = itertools.count()
        self._random = random.Random()  # its own: the shared one is not for threads that come and go
        self._closing = False
        self._writing = writers
        """Threads that still take rows."""
        self._wake = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._write_batches, name=f"commit-{number}", daemon=True)
            for number in range(writers)
        ]
        for thread in self._threads:
            thread.start()

    async def write(
        self,
        statement: Statement[Row, Result],
        row: Row,
        *,
        aggregates: tuple[Hashable, ...],
        tenant: Hashable,
        urgent: bool = False,
    ) -> Result:
        """Writes one row in whatever batch comes next, and returns its result once that is committed.

        Args:
            statement: What to do; rows of the same statement share a batch.
            row: What to do it with.
            aggregates: What the row touches; two rows that share one never run at the same time in this process.
            tenant: Whose it is; ordinary rows are taken from tenants in turn.
            urgent: Taken before all ordinary rows, never given up, and refused by nothing but the end of the last
                writer: for settling.

        Raises:
            KassaError: OVERLOADED, SERVICE_UNAVAILABLE (both: nothing was written), or what the statement answered.
        """
        reach(statement, Moment.BEFORE)
        item = WaitingRow(statement, row, aggregates, self._loop.create_future(), tenant, urgent)
        with self._wake:
            if self._closing and (not urgent or not self._writing):
                raise KassaError(Reason.SERVICE_UNAVAILABLE, "This server is shutting down. Try again.")
            if not urgent and (self.is_overloaded() or self._is_full(tenant)):
                raise overloaded()
            self._enqueue(item)
            self._wake.notify()
        # The batch commits whether or not the caller stays; the shield keeps the future for the writer.
        result: Result = await asyncio.shield(item.future)
        return result

    def is_overloaded(self) -> bool:
        """Says whether new rows come faster than they are written, so that each would wait longer than the one before.

        It is asked without the lock, for each call: a moment's old answer does as well.
        """
        return self._ordinary_count > 0 and self._last_wait_s > self._longest_wait_s

    def wanted(self) -> int:
        """Returns how many calls to ask for now: many while idle, none while enough wait. Asked as above."""
        if not self._ordinary_count and not self._in_flight:
            return self._room
        is_crowded = self._ordinary_count - self._held >= self._room
        return int(not is_crowded or time.monotonic() - self._last_taken >= _STANDSTILL_S)

    async def room(self) -> None:
        """Waits until any is wanted."""
        while True:
            self._room_made.clear()  # before looking: a batch that is taken in between is then not missed
            if self.wanted():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room_made.wait(), _STANDSTILL_S)

    def longest_wait_s(self) -> float:
        """Returns for how many seconds the oldest waiting row has waited; 0 where none waits."""
        with self._wake:
            oldest = [queue[0].since for queue in (self._urgent, *self._ordinary.values()) if queue]
        return time.monotonic() - min(oldest) if oldest else 0.0

    def waiting(self) -> int:
        """Returns how many rows wait for their commit."""
        with self._wake:
            return len(self._urgent) + self._ordinary_count + len(self._later)

    async def close(self) -> None:
        """Refuses ordinary rows, writes all that waits, and ends the threads."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _is_full(self, tenant: Hashable) -> bool:
        of_tenant = len(self._ordinary.get(tenant, ()))
        return self._ordinary_count >= self._waiting or of_tenant >= self._waiting // _SHARE_OF_ONE_TENANT

    def _enqueue(self, item: WaitingRow) -> None:
        item.queued = time.monotonic()
        if item.urgent:
            self._urgent.append(item)
        else:
            self._ordinary.setdefault(item.tenant, deque()).append(item)
            self._ordinary_count += 1

    # --- what follows runs on the writer threads -------------------------------------------------------------------

    def _write_batches(self) -> None:
        while (items := self._take()) is not None:
            try:
                self._run(items)
            finally:
                with self._wake:
                    for item in items:
                        self._in_flight.difference_update(item.aggregates)
                    self._wake.notify_all()
        self._transactions.close()

    def _take(self) -> list[WaitingRow] | None:
        """Waits for work; None when closing and everything is written."""
        with self._wake:
            while True:
                pause_s = self._rejoin()
                items = self._gather()
                if items:
                    for item in items:
                        self._in_flight.update(item.aggregates)
                    return items
                waiting = self._urgent or self._ordinary_count or self._later or self._in_flight
                if self._closing and not waiting:
                    self._writing -= 1
                    self._wake.notify_all()
                    return None
                self._wake.wait(pause_s)

    def _rejoin(self) -> float | None:
        """Puts postponed rows back whose time has come; returns the seconds until the next, None without one."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._enqueue(heapq.heappop(self._later)[2])
        return self._later[0][0] - now if self._later else None

    def _gather(self) -> list[WaitingRow]:
        """Takes the next batch out of the queues: settling first, then tenants in turn."""
        look_ahead = min(len(self._urgent), self._batch * _LOOK_AHEAD)
        batch, kept, _ = self._choose(self._urgent.popleft() for _ in range(look_ahead))
        self._urgent.extendleft(reversed(kept))
        if batch or not self._ordinary_count:
            return batch
        batch, kept, self._held = self._choose(itertools.islice(self._in_turn(), self._batch * _LOOK_AHEAD))
        for item in reversed(kept):
            self._ordinary.setdefault(item.tenant, deque()).appendleft(item)
            self._ordinary_count += 1
        if batch:  # what leaves nobody behind was no standing queue, however long it took
            oldest, now = min(item.queued for item in batch), time.monotonic()
            self._make_room(len(batch), now)
            self._last_wait_s = now - oldest if self._ordinary_count > self._held else 0.0
        return batch

    def _make_room(self, rows: int, now: float) -> None:
        """Reckons from the batch that is taken how many rows may wait, and tells whoever waits for room."""
        rows_per_s = rows / max(now - self._last_taken - self._committing_s, 0.001)
        self._room = min(self._batch, max(_LEAST_ROOM, int(rows_per_s * _ROOM_S)))
        self._last_taken, self._committing_s = now, 0.0
        if not self._room_made.is_set():
            with suppress(RuntimeError):  # the loop is closed, so nobody waits
                self._loop.call_soon_threadsafe(self._room_made.set)

    def _in_turn(self) -> Iterator[WaitingRow]:
        """Pops ordinary items, one tenant after the other, so that a busy merchant does not hold up the rest."""
        while self._ordinary:
            tenant, items = self._ordinary.popitem(last=False)
            self._ordinary_count -= 1
            item = items.popleft()
            if items:
                self._ordinary[tenant] = items
            yield item

    def _choose(self, candidates: Iterable[WaitingRow]) -> tuple[list[WaitingRow], list[WaitingRow], int]:
        """Splits candidates into one batch of one statement on free aggregates, and the rest in their order.

        Returns them, and how many of the rest wait for an aggregate.
        """
        held = 0
        batch: list[WaitingRow] = []
        kept: list[WaitingRow] = []
        busy = set(self._in_flight)
        for item in candidates:
            same, free = not batch or item.shares_with(batch[0]), busy.isdisjoint(item.aggregates)
            if not free:  # it waits for its aggregate, which says nothing of the queue
                item.queued = time.monotonic()
                held += 1
            (batch if same and free else kept).append(item)
            busy.update(item.aggregates)  # whoever waits keeps its place before later rows of its aggregate
            if len(batch) == self._batch:
                break
        return batch, kept, held

    def _run(self, items: list[WaitingRow]) -> None:
        """Writes a batch; rows whose turn must come again rejoin their queues, so that settling still goes first."""
        if not (items := self._give_up(items, self._abandoned_s)):
            return None
        try:
            results = self._transact(items)
        except (DBAPIError, PoolTimeout) as error:
            if is_rows_fault(error):
                return self._refuse(items, error)
            _log.warning("batch of %d postponed: %s", len(items), error_name(error))
            for item in items:
                item.has_failed(error)
            return self._deliver(kept := self._give_up(items, self._patience_s), [POSTPONED] * len(kept))
        except Exception as error:  # the thread must live, and whoever waits gets the error
            return self._refuse(items, error)
        return self._deliver(items, results)

    def _refuse(self, items: list[WaitingRow], error: Exception) -> None:
        """Hands an error to its culprit; a batch is halved first, since one row alone may be at fault."""
        if len(items) > 1:
            self._split(items)
        else:
            self._deliver(items, [error])

    def _split(self, items: list[WaitingRow]) -> None:
        """Halves a batch so that the culprit ends up alone and its neighbours are written."""
        middle = len(items) // 2
        self._run(items[:middle])
        self._run(items[middle:])

    def _give_up(self, items: list[WaitingRow], age_s: float) -> list[WaitingRow]:
        """Gives up ordinary rows that are too old, those of the batch and those that still wait; returns the rest."""
        oldest = time.monotonic() - age_s
        gone = [item for item in items if item.is_given_up(oldest)]
        kept = [item for item in items if not item.is_given_up(oldest)]
        with self._wake:
            for tenant, queue in list(self._ordinary.items()):
                while queue and queue[0].is_given_up(oldest):
                    gone.append(queue.popleft())
                    self._ordinary_count -= 1
                if not queue:
                    del self._ordinary[tenant]
        if gone:
            text = "The database did not take the write in time; nothing was done. Try again."
            self._deliver(gone, [KassaError(Reason.SERVICE_UNAVAILABLE, text)] * len(gone))
        return kept

    def _transact(self, items: list[WaitingRow]) -> Sequence[Any]:
        started, oldest = time.monotonic(), min(item.since for item in items)
        with self._transactions.begin() as (connection, commit):
            statement = items[0].statement
            results: Sequence[Any] = statement(connection, [item.row for item in items])
            assert len(results) == len(items), "a statement answers every row"
            written = time.monotonic()
            reach(statement, Moment.WRITTEN)
            try:
                commit()
            except DBAPIError:
                for item in items:
                    item.in_doubt = True
                raise
            committed = time.monotonic()
            self._committing_s += committed - written
            self._observe(Batch(len(items), started - oldest, written - started, committed - written))
        reach(statement, Moment.COMMITTED)
        return results

    def _postpone(self, item: WaitingRow) -> None:
        """Lets a row rejoin its queue a little later each time, so that a hot row costs the others nothing."""
        pause_s = min(_LONGEST_POSTPONEMENT_S, _FIRST_POSTPONEMENT_S * 2 ** min(item.postponed, 10))
        pause_s *= self._random.uniform(0.5, 1.0)  # two servers that deadlock must not meet again
        item.postponed += 1
        heapq.heappush(self._later, (time.monotonic() + pause_s, next(self._numbers), item))

    def _deliver(self, items: list[WaitingRow], results: Sequence[Any]) -> None:
        """Hands results over, in one call to the event loop; postponed rows go back to the end of their queue."""
        answered = []
        with self._wake:
            for item, result in zip(items, results, strict=True):
                if isinstance(result, Postponed):
                    self._postpone(item)
                else:
                    answered.append((item.future, result))
        if answered:
            self._loop.call_soon_threadsafe(answer, answered)
