"""Domain enums and their counterparts on the wire, by equal names. Called by the modules that parse and render.

A value that the contract lacks is found when this module is imported, not when a merchant first meets it.
"""

from enum import StrEnum
from typing import Protocol, TypeVar

from server.domain.errors import InvalidField

E = TypeVar("E", bound=StrEnum)
W = TypeVar("W")
W_co = TypeVar("W_co", covariant=True)


class WireEnum(Protocol[W_co]):
    """An enum of the generated stubs."""

    def Value(self, name: str) -> W_co: ...


def to_wire(domain: type[E], wire: WireEnum[W]) -> dict[E, W]:
    """Maps each domain value to the wire's value of the same name."""
    return {member: wire.Value(member.value) for member in domain}


def take(table: dict[W, E], value: W, field: str) -> E:
    """Reads an enum value that must be given.

    Raises:
        InvalidField: Unspecified, or a number that this version does not know.
    """
    found = table.get(value)
    if found is None:
        raise InvalidField(field, f"must be one of {', '.join(member.value for member in table.values())}")
    return found


def take_optional(table: dict[W, E], value: W, field: str) -> E | None:
    """Reads an enum value whose zero means that none is given.

    Raises:
        InvalidField: A number that this version does not know.
    """
    return None if value == 0 else take(table, value, field)
