"""What a rule file says, once it is read: plain values. Made by `rulefile`, run by `ruleset`, tried by `testing`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fraud_rules.decision import Outcome
from fraud_rules.expressions import Condition, facts_of
from fraud_rules.facts import Value


class Action(StrEnum):
    """What a rule that fires settles by itself."""

    ALLOW = "allow"
    BLOCK = "block"
    CHALLENGE = "challenge"
    REVIEW = "review"


class Mode(StrEnum):
    """LIVE decides; SHADOW is evaluated and recorded without effect; OFF is only checked and tested."""

    LIVE = "live"
    SHADOW = "shadow"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A payment of which only `given` is known, and whether the rule fires for it."""

    given: Mapping[str, Value]
    fires: bool
    line: int


@dataclass(frozen=True, slots=True)
class RulesetTest:
    """A payment of which only `given` is known, and what becomes of it; a score of None is not tested."""

    given: Mapping[str, Value]
    outcome: Outcome
    score_thousandths: int | None
    line: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        score_thousandths: Added to the payment's score where the rule fires; 0 for a rule with an action.
        percent: The share of payments, 1 to 100, for which a live rule is live; for the others it is a shadow.
        line: Where it starts in its file, from 1.
    """

    id: str
    why: str
    condition: Condition
    score_thousandths: int
    action: Action | None
    mode: Mode
    percent: int
    tests: tuple[RuleTest, ...]
    line: int

    @property
    def windows(self) -> tuple[str, ...]:
        """Names of the velocity facts that the rule asks for, each once."""
        return tuple(dict.fromkeys(fact.name for fact in facts_of(self.condition) if fact.velocity))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores, in thousandths, from which on a payment is challenged, reviewed or blocked; None for never."""

    challenge: int | None = None
    review: int | None = None
    block: int | None = None


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A whole file. `applies_to` of None means every payment."""

    name: str
    applies_to: Condition | None
    thresholds: Thresholds
    rules: tuple[Rule, ...]
    tests: tuple[RulesetTest, ...]
