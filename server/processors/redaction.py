"""What may be kept of requests and answers: what a whitelist names, and nothing else. Adapters bring the whitelists.

Whatever comes in, what goes out can be stored: it is JSON of printable text, numbers within 64 bits and a bounded size.
A record must never stand in the way of the settlement that carries it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import orjson

Json = dict[str, Any]
Leaf = Callable[[object], object]
Kept: TypeAlias = "Mapping[str, Kept] | Leaf"
"""A field that may be kept whole, or the fields of an object (or of each object in a list) that may be kept."""

HIDDEN = "…"
LONGEST_TEXT = 200
MOST_ITEMS = 20
LARGEST = 8_192
"""Bytes of JSON for each side of a call."""
_LARGEST_NUMBER = 2**63
_ID = re.compile(r"[a-z]{2,4}_[A-Za-z0-9]+")
"""What stands for an object that was not expanded; keys and client secrets look otherwise."""


def plain(value: object) -> object:
    """Keeps a number, a truth value or a short printable text: ids, codes, states, times."""
    if isinstance(value, str):
        # Control characters and lone surrogates are what Postgres and JSON refuse; no id or code has them.
        return value if value.isprintable() and len(value) <= LONGEST_TEXT else HIDDEN
    if value is None or isinstance(value, bool | float):
        return value
    return value if isinstance(value, int) and -_LARGEST_NUMBER < value < _LARGEST_NUMBER else HIDDEN


def matching(pattern: str) -> Leaf:
    """Keeps text of this form alone, where a merchant may have written anything."""
    form_of_it = re.compile(pattern)
    return lambda value: plain(value) if isinstance(value, str) and form_of_it.fullmatch(value) else HIDDEN


def reference(value: object) -> object:
    """Keeps our own id in a field where other software may have written anything."""
    try:
        return str(UUID(value)) if isinstance(value, str) else HIDDEN
    except ValueError:
        return HIDDEN


def address(value: object) -> object:
    """Keeps scheme and host of a URL: path and query hold what lets its reader act for the customer."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        host = "" if parts is None else parts.hostname or ""
    except ValueError:
        return HIDDEN
    return plain(f"{parts.scheme}://{host}/{HIDDEN}") if parts and host else HIDDEN


def each(value: object) -> object:
    """Keeps a list of plain values."""
    return _items(value, plain) if isinstance(value, list) else HIDDEN


def answer(value: object, kept: Mapping[str, Kept]) -> Json:
    """Returns the fields of an answer that may be kept; what is not named, and what is null, is left out."""
    return _bounded(_fields(value, kept, mark=False) if isinstance(value, Mapping) else {})


def body(value: Mapping[str, Any], kept: Mapping[str, Kept]) -> Json:
    """Returns a JSON request; of a field that may not be kept its name remains, since we wrote it."""
    return _bounded(_fields(value, kept, mark=True))


def form(text: object, kept: Mapping[str, Kept]) -> Json:
    """Returns a form-encoded request or a query under its flat names; as `body` in all else.

    Args:
        text: Where it is no text (an upload), nothing of it is kept.
    """
    if not isinstance(text, str):
        return {} if text is None else {HIDDEN: HIDDEN}
    return _bounded(_fields(dict(parse_qsl(text, keep_blank_values=True)), kept, mark=True))


def _fields(value: Mapping[Any, Any], kept: Mapping[str, Kept], *, mark: bool) -> Json:
    if mark:
        return {str(plain(name)): _redacted(inner, kept.get(name, _hide), mark=True) for name, inner in value.items()}
    return {
        name: allowed(inner) if callable(allowed) else _redacted(inner, allowed, mark=False)
        for name, allowed in kept.items()
        if (inner := value.get(name)) is not None
    }


def _redacted(value: object, kept: Kept, *, mark: bool) -> object:
    if callable(kept):
        return kept(value)
    if isinstance(value, Mapping):
        return _fields(value, kept, mark=mark)
    if isinstance(value, list):
        return _items(value, lambda item: _redacted(item, kept, mark=mark))
    return plain(value) if isinstance(value, str) and _ID.fullmatch(value) else HIDDEN


def _items(value: list[Any], redact: Leaf) -> list[object]:
    shown = [redact(item) for item in value[:MOST_ITEMS]]
    return shown if len(value) <= MOST_ITEMS else [*shown, HIDDEN]


def _hide(value: object) -> object:
    return HIDDEN


def _bounded(shown: Json) -> Json:
    """Cuts what is too large: the first fields remain, and a mark."""
    if len(orjson.dumps(shown)) <= LARGEST:
        return shown
    first, left = dict[str, Any](), LARGEST - 100
    for name, inner in shown.items():
        left -= len(orjson.dumps({name: inner}))
        if left < 0:
            break
        first[name] = inner
    return first | {HIDDEN: "cut"}
