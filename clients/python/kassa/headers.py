"""What goes with every call beside its message, in both clients. Of other characters gRPC itself would say INTERNAL."""

import re

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


def authorization(api_key: str) -> tuple[str, str]:
    """Makes the header that carries the secret key.

    Raises:
        ValueError: No such key exists; one that was read from a file often ends in a line break.
    """
    if not _VISIBLE.fullmatch(api_key):
        raise ValueError("api_key must be a key as it was shown: letters, digits and _, without blanks or line breaks")
    return ("authorization", f"Bearer {api_key}")


def with_key(header: tuple[str, str], idempotency_key: str | None) -> tuple[tuple[str, str], ...]:
    """Returns the headers of a call.

    Raises:
        ValueError: The gateway would refuse such an idempotency key; nothing is sent.
    """
    if idempotency_key is None:
        return (header,)
    if not _VISIBLE.fullmatch(idempotency_key):
        raise ValueError("idempotency_key must be 1 to 255 visible ASCII characters")
    return (header, ("idempotency-key", idempotency_key))
