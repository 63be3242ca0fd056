"""What goes with every call beside its message, in both clients. Of other characters gRPC itself would say INTERNAL."""


def authorization(api_key: str) -> tuple[str, str]:
    """Makes the header that carries the secret key.

    Raises:
        ValueError: No such key exists; one that was read from a file often ends in a line break.
    """
    if not _is_printable(api_key) or " " in api_key:
        raise ValueError("api_key must be a key as it was shown: letters, digits and _, without blanks or line breaks")
    return ("authorization", f"Bearer {api_key}")


def with_key(header: tuple[str, str], idempotency_key: str | None) -> tuple[tuple[str, str], ...]:
    """Returns the headers of a call.

    Raises:
        ValueError: The gateway would refuse such an idempotency key; nothing is sent.
    """
    if idempotency_key is None:
        return (header,)
    if not _is_printable(idempotency_key):
        raise ValueError("idempotency_key must be made of printable ASCII")
    return (header, ("idempotency-key", idempotency_key))


def _is_printable(value: str) -> bool:
    return value.isascii() and value.isprintable()
