"""Rules that an analyst silences for a time; stored by `storage.snoozes`, obeyed by every server.

What a snooze may say is checked here, since it comes over the wire and from the command line.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from server.domain.errors import InvalidField

LONGEST = timedelta(days=30)
"""Whoever wants a rule to be silent for longer edits its file, where others see it."""
_RULE = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Snooze:
    """A rule that acts on nothing for a while. Times are UTC and aware.

    Attributes:
        rule: The rule's id, in whichever rulesets decide.
        expires_at: When it ends by itself; there is none without an end.
        ended_at: When somebody ended it earlier, and `ended_by` who; None and empty where nobody did.
    """

    id: UUID
    rule: str
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class NewSnooze:
    """What somebody asks for; see `Snooze`."""

    rule: str
    author: str
    reason: str
    expires_at: datetime


def check_rule_id(given: str, field: str = "rule") -> str:
    """Takes a rule's id.

    Raises:
        InvalidField: It is none.
    """
    if _RULE.fullmatch(given) is None:
        raise InvalidField(field, "must be a rule's id: a small letter, then small letters, digits and underscores")
    return given


def check_expiry(given: datetime, now: datetime, field: str = "expires_at") -> datetime:
    """Takes the time at which a snooze ends.

    Raises:
        InvalidField: It is not in the future, or too far in it.
    """
    if given <= now:
        raise InvalidField(field, "must be in the future")
    if given - now > LONGEST:
        raise InvalidField(field, f"must be at most {LONGEST.days} days from now; edit the rule file for longer")
    return given
