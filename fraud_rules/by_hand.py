"""Facts as people give them at a terminal: `amount_usd=12000 ip_country=NO`, or a JSON file. Called by `cli`."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fraud_rules.errors import nearest
from fraud_rules.facts import Fact, Value
from fraud_rules.literals import LiteralError, value_of


class HandError(ValueError):
    """What was given is no fact; the message says which and what to give instead."""


def facts_from_words(given: Iterable[str], words: Mapping[str, Fact]) -> dict[str, Value]:
    """Reads `name=value` as a test's `given` has them, amounts in dollars.

    Raises:
        HandError: A word is not of that form, no fact, or no value of its fact.
    """
    facts: dict[str, Value] = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals:
            raise HandError(f"{word[:80]!r} is not of the form name=value")
        fact = _known(name, words)
        try:
            facts[name] = value_of(text, fact)
        except LiteralError as error:
            raise HandError(f"{name}: {error.message}{f' ({error.hint})' if error.hint else ''}") from error
    return facts


def facts_from_json(content: bytes, words: Mapping[str, Fact]) -> dict[str, Value]:
    """Reads an object of facts as decisions keep them, amounts in cents; an explanation's or a decision's `facts` too.

    Raises:
        HandError: Not such an object.
    """
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HandError(f"the facts are not JSON: {error}") from error
    if isinstance(read, dict) and isinstance(read.get("facts"), dict):
        read = read["facts"]
    if not isinstance(read, dict):
        raise HandError('the facts are not an object such as {"amount": 1999}')
    return {name: _value(name, value) for name, value in read.items() if value is not None and _known(name, words)}


def _known(name: str, words: Mapping[str, Fact]) -> Fact:
    fact = words.get(name)
    if fact is None:
        hint = nearest(name, words) or "the fact reference and the rules say what there is"
        raise HandError(f"{name[:80]!r} is no fact that the ruleset asks for ({hint})")
    return fact


def _value(name: str, value: Any) -> Value:
    if not isinstance(value, str | bool | int):
        raise HandError(f"{name[:80]} is neither a text, a whole number, true nor false")
    return value
