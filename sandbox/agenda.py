"""What happens later by itself: debits that settle, refunds that fail, disputes that arrive. Kept over restarts."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.store import Store


@dataclass(slots=True)
class Appointment:
    """`action` is to be done to `subject`, an object's id, at `due` (seconds since the epoch)."""

    account: str
    id: str
    due: float
    action: str
    subject: str


class Agenda:
    """Runs actions in the event loop at their time, and the missed ones at the start."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = store.table("appointment", Appointment)
        self._actions: dict[str, Callable[[str, str], None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def on(self, action: str, do: Callable[[str, str], None]) -> None:
        """Says what `action` does, given account and subject."""
        self._actions[action] = do

    def add(self, action: str, account: str, subject: str, seconds: float) -> None:
        """Schedules an action."""
        due = time.time() + seconds
        self._arm(self._table.put(Appointment(account, secrets.token_hex(8), due, action, subject)))

    def start(self) -> None:
        """Arms what an earlier process left."""
        for appointment in self._table.all():
            self._arm(appointment)

    def stop(self) -> None:
        """Disarms everything; the appointments stay."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _arm(self, appointment: Appointment) -> None:
        delay = max(0.0, appointment.due - time.time())
        self._timers[appointment.id] = asyncio.get_running_loop().call_later(delay, self._run, appointment)

    def _run(self, appointment: Appointment) -> None:
        self._timers.pop(appointment.id, None)
        self._actions[appointment.action](appointment.account, appointment.subject)
        self._table.remove(appointment)
        self._store.flush()
