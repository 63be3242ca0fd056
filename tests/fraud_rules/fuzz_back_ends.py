"""Compares the back ends over made-up rulesets: `python -m tests.fraud_rules.fuzz_back_ends --evaluations 1000000`.

One evaluation is one payment through one ruleset by both back ends; every tenth is also judged by the book (`kleene`).
`--seed N --evaluations 1` runs the one round of that seed again.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from fraud_rules.admission import admit
from fraud_rules.compiler import compile_program
from fraud_rules.engine import Engine
from fraud_rules.evaluator import compile_conditions
from fraud_rules.expressions import Condition
from fraud_rules.facts import Value
from fraud_rules.parser import parse_condition
from fraud_rules.rules import words_of
from tests.fraud_rules import kleene
from tests.fraud_rules.fuzzing import main
from tests.fraud_rules.made_up import LISTS, METADATA, WORDS, conditions_as_text, payments

_MOST_RULES = 120
_PAYMENTS = 400
_BY_THE_BOOK = 10


class DisagreementError(AssertionError):
    """The back ends differ; the message has the conditions and the facts."""


def compare(draw: Random, most_rules: int, count: int, by_the_book: int = 1) -> Counter[str]:
    """Runs one ruleset.

    Args:
        most_rules, count: Conditions at the most, and payments.
        by_the_book: Every how many payments the third opinion is asked.

    Raises:
        DisagreementError: Two opinions differ.
    """
    texts = conditions_as_text(draw, most_rules)
    conditions = [parse_condition(text, LISTS, WORDS) for text in texts]
    words = words_of(conditions, METADATA)
    evaluate = compile_conditions(conditions)
    engine = Engine(compile_program(conditions))
    fired = 0
    try:
        for number, payment in enumerate(payments(draw, conditions, count)):
            facts = admit(payment, words)
            truths = evaluate(facts)
            expected = {index for index, truth in enumerate(truths) if truth}
            _agree("engine", engine.match(facts), expected, texts, facts)
            if number % by_the_book == 0:
                by_book = _by_the_book(conditions, facts)
                _agree("book", {index for index, truth in enumerate(by_book) if truth}, expected, texts, facts)
                _agree("book, of what is unknown", _unknown(by_book), _unknown(truths), texts, facts)
            fired += len(expected)
    finally:
        engine.close()
    return Counter(evaluations=count, rulesets=1, conditions=len(texts), fired=fired)


def _by_the_book(conditions: Sequence[Condition], facts: Mapping[str, Value]) -> list[bool | None]:
    return [kleene.truth(condition, facts) for condition in conditions]


def _unknown(truths: Sequence[bool | None]) -> set[int]:
    return {index for index, truth in enumerate(truths) if truth is None}


def _agree(who: str, found: set[int], expected: set[int], texts: Sequence[str], facts: Mapping[str, Value]) -> None:
    if found != expected:
        differing = [texts[index] for index in sorted(found ^ expected)]
        shown = {name: value if not isinstance(value, str) else value[:80] for name, value in facts.items()}
        message = f"{who} and evaluator differ\n" + "\n".join(f"  {text}" for text in differing[:5]) + f"\n{shown}"
        raise DisagreementError(message.encode("ascii", "backslashreplace").decode())


def try_round(seed: int) -> Counter[str]:
    """One round of the long run."""
    return compare(Random(seed), _MOST_RULES, _PAYMENTS, _BY_THE_BOOK)


if __name__ == "__main__":
    sys.exit(main("tests.fraud_rules.fuzz_back_ends", "evaluations", try_round, batch=25, seconds=120))
