"""What a rule file says, once it is read: plain values. Made by `rulefile`, run by `ruleset`, tried by `testing`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fraud_rules.decision import Outcome
from fraud_rules.expressions import Condition, facts_of, memberships_of
from fraud_rules.facts import VOCABULARY, Fact, Value


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
        percent: The share of customers, 1 to 100, for whom a live rule is live; for the others it is a shadow.
        merchants: Ids of the only merchants whose payments it looks at; empty for every merchant.
        line: Where it starts in its file, from 1.
    """

    id: str
    why: str
    condition: Condition
    score_thousandths: int
    action: Action | None
    mode: Mode
    percent: int
    merchants: tuple[str, ...]
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

    def amended(self, by: "Thresholds") -> "Thresholds":
        """Returns these thresholds with those in their place that the other has."""
        return Thresholds(
            self.challenge if by.challenge is None else by.challenge,
            self.review if by.review is None else by.review,
            self.block if by.block is None else by.block,
        )

    def rise(self) -> bool:
        """Says whether no threshold is above a harder one."""
        given = [value for value in (self.challenge, self.review, self.block) if value is not None]
        return given == sorted(given)


@dataclass(frozen=True, slots=True)
class MerchantTerms:
    """What is different for one merchant.

    Attributes:
        thresholds: Those that it has of its own; the file's hold for the others.
        off: Ids of rules that do not look at its payments.
    """

    thresholds: Thresholds
    off: frozenset[str]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A whole file.

    Attributes:
        applies_to: None means every payment.
        merchants: What is different for merchants, by their ids.
        lists: The lists that the file declares, whose entries may all be added at run time.
        metadata: The facts that it declares, by the key under which merchants tell them.
    """

    name: str
    applies_to: Condition | None
    thresholds: Thresholds
    rules: tuple[Rule, ...]
    tests: tuple[RulesetTest, ...]
    merchants: Mapping[str, MerchantTerms]
    lists: tuple[str, ...]
    metadata: Mapping[str, Fact]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the file, also of rules that are off; `applies_to` first, where there is one."""
        applies_to = () if self.applies_to is None else (self.applies_to,)
        return (*applies_to, *(rule.condition for rule in self.rules))

    def concerns(self, rule: Rule, merchant: Value | None) -> bool:
        """Says whether a rule looks at a merchant's payments; None where the merchant is unknown."""
        terms = self.merchants.get(str(merchant)) if merchant is not None else None
        return (not rule.merchants or merchant in rule.merchants) and (terms is None or rule.id not in terms.off)

    def thresholds_for(self, merchant: Value | None) -> Thresholds:
        """Returns the thresholds that hold for a merchant's payments; None where the merchant is unknown."""
        terms = self.merchants.get(str(merchant)) if merchant is not None else None
        return self.thresholds if terms is None else self.thresholds.amended(terms.thresholds)


def words_of(conditions: Iterable[Condition], metadata: Mapping[str, Fact]) -> dict[str, Fact]:
    """Returns every fact that a payment may bring: the vocabulary, what is declared, and what conditions ask for."""
    words = {**VOCABULARY, **{word.name: word for word in metadata.values()}}
    for condition in conditions:
        words.update({fact.name: fact.word for fact in facts_of(condition) if fact.velocity})
        words.update({word.name: word for one in memberships_of(condition) if (word := one.listed) is not None})
    return words
