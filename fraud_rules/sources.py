"""All that a ruleset is made of, as bytes: read from files, kept by releases, handed to `loading` and to `trial`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_rules.document import MAX_BYTES
from fraud_rules.errors import Problem, RulesError
from fraud_rules.lists import MAX_BYTES as MAX_LIST_BYTES

LISTS = Path(__file__).parent / "lists"
RATES = Path(__file__).parent / "rates.yaml"
DEFAULT_RULES = Path(__file__).parent / "rules" / "default.yaml"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a ruleset is made of; the same sources always make the same ruleset, with the same hash.

    Attributes:
        name: How problems call the rule file.
        rules: The rule file's content.
        lists: The content of each list's file by the list's name.
        rates: The rates file's content.
        block_threshold: Thousandths from which on a payment is blocked, instead of what the rule file says.
    """

    name: str
    rules: bytes
    lists: Mapping[str, bytes]
    rates: bytes
    block_threshold: int | None = None

    def to_json(self) -> bytes:
        """Writes everything as one JSON object, readable where the content is UTF-8 and exact where it is not."""
        texts: dict[str, Any] = {"name": self.name, "rules": _text(self.rules), "rates": _text(self.rates)}
        texts["lists"] = {name: _text(content) for name, content in self.lists.items()}
        if self.block_threshold is not None:
            texts["block_threshold"] = self.block_threshold
        return json.dumps(texts).encode()

    @staticmethod
    def from_json(content: bytes) -> "Sources":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        read = json.loads(content)
        try:
            lists = {str(name): _bytes(text) for name, text in read["lists"].items()}
            block = read.get("block_threshold")
            return Sources(
                str(read["name"]),
                _bytes(read["rules"]),
                lists,
                _bytes(read["rates"]),
                None if block is None else int(block),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not the sources of a ruleset") from error


def read_sources(path: Path | str, *, lists: Path | None = None, rates: Path | None = None) -> Sources:
    """Reads a rule file, and every list and the rates that it may ask for. Nothing of it is checked yet.

    Args:
        lists: The folder of `*.txt` lists; None for the shipped one. One that is not there holds no list.
        rates: The rates file; None for the shipped one.

    Raises:
        RulesError: A file cannot be read.
    """
    folder = lists or LISTS
    found = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    return Sources(
        str(path),
        _read(Path(path), MAX_BYTES),
        {file.stem: _read(file, MAX_LIST_BYTES) for file in found},
        _read(rates or RATES, MAX_BYTES),
    )


def _read(path: Path, limit: int) -> bytes:
    """Reads at most one byte more than the limit: enough for `loading` to refuse the file."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RulesError([Problem(str(path), 0, 0, f"cannot be read: {reason}")]) from error


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a text")
    return text.encode("utf-8", "surrogateescape")
