"""Faults on command: what shall go wrong, for which operation, how often. Set through `/sandbox/faults`.

An operation is named `stripe.payment_intents.create` or `paypal.orders.capture`; a webhook `stripe.webhook.` or
`paypal.webhook.` and its event type. Rules match them by glob. Everything random comes from the rule's own seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Kind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The request waits `seconds` (up to `max_seconds`, drawn at random, where given) before it is acted upon."""
    ERROR = "error"
    """HTTP `status` is answered; nothing is done, unless `booked` says that it happens after the deed."""
    LOST_REQUEST = "lost_request"
    """The connection closes; nothing is done."""
    LOST_REPLY = "lost_reply"
    """It is done and booked; then the connection closes without an answer."""
    UNKNOWN_STATUS = "unknown_status"
    """It is done; the answer's `status` says `value`, which no documentation knows."""
    WEBHOOK_DUPLICATE = "webhook_duplicate"
    """The event is delivered `copies` times more."""
    WEBHOOK_DELAY = "webhook_delay"
    """The event waits `seconds` (up to `max_seconds`)."""
    WEBHOOK_REORDER = "webhook_reorder"
    """Events are held until there are `window` of them (`seconds` at most, 2 by default), then delivered last first."""
    WEBHOOK_DROP = "webhook_drop"
    """The event is never delivered."""
    LATE_FEE = "late_fee"
    """The fee of a capture is told only after `seconds`; the operation is `stripe.fee` or `paypal.fee`."""


class Rule(BaseModel):
    """A fault as `/sandbox/faults` takes it. Times are in seconds.

    Attributes:
        account: Only for this account; None: for all.
        skip: So many matching requests pass unharmed first.
        times: So many are hit then; None: all.
        probability: Share of matching requests that are hit, drawn from `seed`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    operation: str = "*"
    account: str | None = None
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0
    seconds: float = Field(default=0.0, ge=0)
    max_seconds: float | None = None
    status: int = Field(default=500, ge=400, le=599)
    booked: bool = False
    value: str = "quantum_superposition"
    copies: int = Field(default=1, ge=1)
    window: int = Field(default=2, ge=2)


@dataclass(slots=True)
class Fault:
    """A rule at work."""

    id: int
    rule: Rule
    random: Random
    seen: int = 0
    hits: int = 0

    def strikes(self, operation: str, account: str) -> bool:
        """Tells whether this request is hit, and counts it."""
        rule = self.rule
        if not fnmatchcase(operation, rule.operation) or rule.account not in (None, account):
            return False
        if rule.times is not None and self.hits >= rule.times:
            return False
        self.seen += 1
        if self.seen <= rule.skip or (rule.probability < 1 and self.random.random() >= rule.probability):
            return False
        self.hits += 1
        return True

    def seconds(self) -> float:
        """How long it takes this time."""
        rule = self.rule
        return rule.seconds if rule.max_seconds is None else self.random.uniform(rule.seconds, rule.max_seconds)


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, rule: Rule) -> Fault:
        """Puts a rule in force, after the others."""
        self._last_id += 1
        fault = Fault(self._last_id, rule, Random(rule.seed))
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Everything works again."""
        self._faults.clear()

    def draw(self, operation: str, account: str) -> tuple[Fault, ...]:
        """The faults that hit this request, in the order of their rules."""
        if not self._faults:
            return ()
        wanted = (fault for fault in self._faults if fault.rule.kind is not Kind.LATE_FEE)
        return tuple(fault for fault in wanted if fault.strikes(operation, account))

    def late_fee_s(self, operation: str, account: str) -> float:
        """Seconds until the fee of a capture that is booked now may be told."""
        wanted = (fault for fault in self._faults if fault.rule.kind is Kind.LATE_FEE)
        return sum(fault.seconds() for fault in wanted if fault.strikes(operation, account))

    def report(self) -> list[Mapping[str, Any]]:
        """The rules in force with how often each matched and hit."""
        return [{"id": f.id, "seen": f.seen, "hits": f.hits, **f.rule.model_dump(mode="json")} for f in self._faults]
