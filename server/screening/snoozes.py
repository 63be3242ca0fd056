"""Which rules are silent right now, as a snapshot in memory; and which rules can be silenced.

`screening.screen` asks the snapshot with each payment; `bootstrap_fraud` keeps it. What it is read from is injected.
"""

from collections.abc import Awaitable, Callable, Sequence, Set
from datetime import datetime

from fraud_rules import check_sources
from fraud_rules.decision import BUILT_IN
from fraud_rules.errors import nearest
from fraud_rules.rules import Mode
from server.domain.rulesets import Version
from server.domain.snooze import Snooze
from server.screening.gates import sources_of

ChangedAt = Callable[[], Awaitable[datetime | None]]
"""`storage.snoozes.snoozes_changed_at`: None while there never was one."""
ReadSnoozes = Callable[[], Awaitable[Sequence[Snooze]]]
"""`storage.snoozes.read_snoozes`."""
_NONE: Set[str] = frozenset()


class SnoozeSnapshots:
    """Holds the snoozes in force, and swaps them whole when one was added or ended. Expiry needs no reading."""

    def __init__(self, changed_at: ChangedAt, read: ReadSnoozes) -> None:
        self._changed_at, self._read = changed_at, read
        self._known: datetime | None = None
        self._snoozes: tuple[Snooze, ...] = ()

    def at(self, moment: datetime) -> Set[str]:
        """Returns the ids of the rules that are silent at a moment."""
        snoozes = self._snoozes
        return frozenset(one.rule for one in snoozes if moment < one.expires_at) if snoozes else _NONE

    async def refresh(self) -> bool:
        """Takes up what has changed; says whether anything had. One small read where nothing has.

        Raises:
            KassaError: SERVICE_UNAVAILABLE; what is known goes on to count.
        """
        changed = await self._changed_at()
        if changed == self._known:
            return False
        self._snoozes = tuple(await self._read())
        self._known = changed  # what was added since is seen now, and once more by the next look
        return True


def why_not_snoozed(version: Version, rule_id: str) -> str:
    """Says what keeps a rule of a version from being silenced; empty where nothing does. Takes some milliseconds.

    Raises:
        RulesError: The version is not sound.
    """
    if rule_id in BUILT_IN:
        return "is built in; what it tells of cannot be silenced"
    rules = {rule.id: rule for rule in check_sources(sources_of(version)).file.rules}
    if rule_id not in rules:
        hint = nearest(rule_id, rules)
        return f"is no rule of the live ruleset{f'; {hint}' if hint else ''}"
    mode = rules[rule_id].mode
    return "" if mode is Mode.LIVE else f"is in mode {mode}: it decides nothing that could be silenced"
