"""The gate before the rules: only known facts pass, of the right type and a safe size. Called by `ruleset`."""

from collections.abc import Mapping

from fraud_rules.facts import MAX_INTEGER, MAX_TEXT, Fact, Facts, Kind, Value
from fraud_rules.metadata import converted
from fraud_rules.rates import Rates


class FactError(ValueError):
    """A fact is of another type or out of range; the message names it and never shows its value."""


def admit(facts: Facts, words: Mapping[str, Fact]) -> dict[str, Value]:
    """Returns the known facts that rules may see, in the order of `words`.

    Names that are not words are dropped, as are None and empty texts, which mean unknown. Texts are cut to 1,024
    characters and brought into their fact's case. What merchants tell is converted to its fact's type, else dropped.

    Raises:
        FactError: A value is not of its fact's type, or an integer is out of its fact's range.
    """
    admitted: dict[str, Value] = {}
    for name, word in words.items():
        value = facts.get(name)
        if word.told and value is not None:
            value = converted(value, word)
        if value is None or value == "":
            continue
        admitted[name] = _checked(value, word)
    return admitted


def with_usd(facts: Mapping[str, Value], rates: Rates) -> tuple[Mapping[str, Value], bool]:
    """Adds `amount_usd`, at most `MAX_INTEGER`, where it is not given; the second value: the currency has no rate."""
    amount, currency = facts.get("amount"), facts.get("currency")
    if "amount_usd" in facts or not isinstance(amount, int) or not isinstance(currency, str):
        return facts, False
    cents = rates.to_usd_cents(amount, currency)
    return (facts, True) if cents is None else ({**facts, "amount_usd": min(cents, MAX_INTEGER)}, False)


def _checked(value: Value, word: Fact) -> Value:
    kind = word.kind
    if kind is Kind.TEXT and isinstance(value, str):
        if len(value) <= MAX_TEXT and value.isascii():
            return word.normalise(value)
        encodable = value[:MAX_TEXT].encode("utf-8", "replace").decode()
        return word.normalise(encodable)[:MAX_TEXT]
    if isinstance(value, bool):
        if kind is Kind.BOOLEAN:
            return value
    elif kind is Kind.INTEGER and isinstance(value, int):
        if not word.minimum <= value <= word.maximum:
            raise FactError(f"{word.name} is out of range")
        return value
    raise FactError(f"{word.name} is not of type {kind}")
