"""Form-encoded parameters as Stripe nests them (`a[b][0]=c`), and typed reading that refuses as Stripe refuses."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.stripe.errors import invalid

_PART: Final = re.compile(r"\[([^\[\]]*)\]")
_TRUTH: Final = {"true": True, "false": False}

Nested = dict[str, Any]


def words(text: str) -> frozenset[str]:
    """Parameter names, written with spaces between them."""
    return frozenset(text.split())


def nest(pairs: Iterable[tuple[str, str]]) -> Nested:
    """Turns `a[b]=1&a[c][]=2` into `{"a": {"b": "1", "c": {"0": "2"}}}`; lists stay dicts by index."""
    root: Nested = {}
    for name, value in pairs:
        head, _, rest = name.partition("[")
        path = [head, *_PART.findall("[" + rest if rest else "")]
        node = root
        for part in path[:-1]:
            child = node.setdefault(part or str(len(node)), {})
            if not isinstance(child, dict):
                raise invalid(f"Invalid parameter: {name}", param=name)
            node = child
        node[path[-1] or str(len(node))] = value
    return root


class Params:
    """Parameters of one request, or of a hash inside them."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self.values = values
        self._prefix = prefix

    def name(self, name: str) -> str:
        """How an error names this parameter."""
        return f"{self._prefix}[{name}]" if self._prefix else name

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def allow(self, names: frozenset[str]) -> None:
        """Refuses everything that is not among `names`."""
        for name in self.values:
            if name not in names:
                full = self.name(name)
                raise invalid(f"Received unknown parameter: {full}", code="parameter_unknown", param=full)

    def text(self, name: str, default: str = "") -> str:
        """A string, `default` where absent."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {self.name(name)}", param=self.name(name))
        return value

    def optional(self, name: str) -> str | None:
        """A string, None where absent or empty."""
        return self.text(name) or None

    def required(self, name: str) -> str:
        """A string that must be there."""
        if not self.values.get(name):
            raise invalid(
                f"Missing required param: {self.name(name)}.", code="parameter_missing", param=self.name(name)
            )
        return self.text(name)

    def integer(self, name: str) -> int | None:
        """An integer, None where absent."""
        if name not in self.values:
            return None
        text = self.text(name)
        if not re.fullmatch(r"-?[0-9]{1,15}", text):
            full = self.name(name)
            raise invalid(f"Invalid integer: {text}", code="parameter_invalid_integer", param=full)
        return int(text)

    def boolean(self, name: str, default: bool = False) -> bool:
        """`true` or `false`."""
        text = self.text(name)
        if text and text not in _TRUTH:
            raise invalid(f"Invalid boolean: {text}", param=self.name(name))
        return _TRUTH.get(text, default)

    def choice(self, name: str, allowed: Iterable[str], default: str = "") -> str:
        """One of `allowed`, `default` where absent."""
        text = self.text(name, default)
        choices = list(allowed)
        if text != default and text not in choices:
            raise invalid(f"Invalid {self.name(name)}: must be one of {', '.join(choices)}", param=self.name(name))
        return text

    def texts(self, name: str) -> list[str]:
        """A list of strings, empty where absent."""
        value = self.values.get(name) or {}
        items = list(value.values()) if isinstance(value, dict) else None
        if items is None or not all(isinstance(item, str) for item in items):
            raise invalid(f"Invalid array: {self.name(name)}", param=self.name(name))
        return items

    def hash(self, name: str) -> "Params":
        """A nested hash, empty where absent."""
        value = self.values.get(name) or {}
        if not isinstance(value, dict):
            raise invalid(f"Invalid object: {self.name(name)}", param=self.name(name))
        return Params(value, self.name(name))

    def metadata(self) -> dict[str, str]:
        """The `metadata` hash. https://docs.stripe.com/api/metadata: 50 keys, 40 and 500 characters."""
        values = self.hash("metadata").values
        for key, value in values.items():
            if not isinstance(value, str) or len(key) > 40 or len(value) > 500 or len(values) > 50:
                raise invalid(f"Invalid metadata: {key}", param=f"metadata[{key}]")
        return dict(values)
