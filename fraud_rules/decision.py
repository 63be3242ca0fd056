"""What comes of a payment: outcomes, and how fired rules add up to one. Called by `ruleset`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fraud_rules.facts import Value

MAX_SCORE = 1_000


class Outcome(StrEnum):
    """From the mildest to the hardest. CHALLENGE asks the processor for 3-D Secure; REVIEW asks people."""

    ALLOW = "ALLOW"
    CHALLENGE = "CHALLENGE"
    REVIEW = "REVIEW"
    BLOCK = "BLOCK"


class Backend(StrEnum):
    """Who found the rules that fire. NOBODY: neither could, and the payment goes to review."""

    ENGINE = "engine"
    EVALUATOR = "evaluator"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one payment; with the same facts and the same ruleset hash it is always the same.

    Attributes:
        score_thousandths: 0 to 1,000: the sum over the live rules that fired, cut to that range.
        fired: Ids of the live rules that fired, in the order of the file, then the built-in ones below.
        shadow_fired: Ids of the rules that would have fired, without effect.
        ruleset: The ruleset's name.
        ruleset_hash: SHA-256 over its rules, lists and rates, in hexadecimal.
        facts: What was known, as the rules saw it: normalised, `amount_usd` included. Give it to `decide` to replay.
        applied: False where `applies_to` left the payment out.
        backend: Who found the rules that fire.
        snoozed: Ids of the live rules that would have fired, were they not silenced for a time.
    """

    outcome: Outcome
    score_thousandths: int
    fired: tuple[str, ...]
    shadow_fired: tuple[str, ...]
    ruleset: str
    ruleset_hash: str
    facts: Mapping[str, Value]
    applied: bool
    backend: Backend
    snoozed: tuple[str, ...] = ()


CURRENCY_WITHOUT_RATE = "currency_without_rate"
"""Built in: a rule asks for amount_usd and the currency has no rate. The outcome is REVIEW or harder."""

SCREENING_FAILED = "screening_failed"
"""Built in: the facts could not be read, or neither back end answered. The outcome is REVIEW."""

BUILT_IN = (CURRENCY_WITHOUT_RATE, SCREENING_FAILED)
