"""What merchants tell beside a payment: metadata entries that a rule file declares as typed facts.

Declared in `declarations`, converted by `admission`.
"""

import re
from enum import StrEnum
from typing import Final

from fraud_rules.facts import MAX_INTEGER, Fact, Kind, Unit, Value

METADATA: Final = "metadata_"
KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
KEY_HINT: Final = "use up to 40 of A-Z, a-z, 0-9 and _, a letter first"

_INTEGER = re.compile(r"-?[0-9]{1,16}")


class MetadataType(StrEnum):
    """The types that an entry may be declared with; they are those of facts."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"


def metadata_word(key: str, kind: MetadataType) -> Fact:
    """Returns the fact that stands for a metadata entry; an integer may be negative."""
    unit = Unit.NUMBER if kind is MetadataType.INTEGER else Unit.NONE
    meaning = f"What the merchant says under the metadata key `{key}`."
    return Fact(f"{METADATA}{key}", Kind(kind), meaning, unit=unit, minimum=-MAX_INTEGER, told=True)


def converted(value: Value, word: Fact) -> Value | None:
    """Converts what a merchant told to the fact's type; None, which is unknown, where it is something else.

    A boolean is `true` or `false` in any case, an integer is written in decimal digits.
    """
    match word.kind, value:
        case (Kind.TEXT, str()) | (Kind.BOOLEAN, bool()):
            return value
        case (Kind.BOOLEAN, str()):
            return {"true": True, "false": False}.get(value.strip().lower())
        case (Kind.INTEGER, str()):
            number = int(value) if _INTEGER.fullmatch(value.strip()) else None
        case (Kind.INTEGER, int()) if not isinstance(value, bool):
            number = value
        case _:
            return None
    return number if number is not None and word.minimum <= number <= word.maximum else None
