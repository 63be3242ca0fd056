"""Identifiers: UUIDv7 inside, TypeIDs (`pay_…`) for clients. Called by every layer that names a resource.

TypeID: https://github.com/jetify-com/typeid
"""

from enum import StrEnum
from uuid import UUID

import uuid_utils
from typeid import TypeID
from typeid.core.errors import TypeIDException
from uuid_utils.compat import uuid4

from server.clock import nanoseconds
from server.domain.errors import InvalidField


class Prefix(StrEnum):
    """The kind of a resource, as it stands before the underscore of its id."""

    MERCHANT = "mer"
    API_KEY = "key"
    PROCESSOR_ACCOUNT = "acct"
    PAYMENT = "pay"
    TRANSACTION = "txn"
    REFUND = "re"
    EVENT = "evt"
    ATTENTION = "att"
    DISPUTE = "dsp"
    LEDGER_ENTRY = "ent"
    JOURNAL = "jrn"
    LIST_ENTRY = "lst"
    SNOOZE = "snz"


def new_id() -> UUID:
    """Returns a new UUIDv7: unique, and ordered by the millisecond of its making, as this machine's clock tells it."""
    return UUID(int=uuid_utils.uuid7(nanoseconds=nanoseconds()).int)


def random_id() -> UUID:
    """Returns a new UUIDv4, of random bits alone.

    The standard library asks the kernel for them, and lets other threads run meanwhile.
    """
    return uuid4()


def render_id(prefix: Prefix, value: UUID) -> str:
    """Writes an id as clients see it, `pay_01h…`."""
    return str(TypeID.from_uuid(uuid_utils.UUID(int=value.int), prefix.value))


def parse_id(prefix: Prefix, text: str, field: str) -> UUID:
    """Reads a client's id back.

    Raises:
        InvalidField: The text is no id of this kind; `field` names the request's field.
    """
    try:
        parsed = TypeID.from_string(text)
    except TypeIDException:
        # Its message quotes the input, so it is not passed on.
        raise InvalidField(field, f"must be an id that begins with {prefix.value}_") from None
    if parsed.prefix != prefix.value:
        raise InvalidField(field, f"must be an id that begins with {prefix.value}_")
    return UUID(str(parsed.uuid))
