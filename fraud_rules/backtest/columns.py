"""The columns of a file of payments: which there are, how each is read, which are needed. Called by the readers.

Beside the facts of the vocabulary there are the columns below; all but `time`, `amount` and `currency` may be missing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

from fraud_rules.backtest.payments import Label, micros
from fraud_rules.errors import nearest
from fraud_rules.expressions import LISTED
from fraud_rules.facts import MAX_TEXT, Case, Fact, Kind, Unit
from fraud_rules.metadata import converted
from fraud_rules.velocity import LAST

Read = Callable[[object], object]
"""From a cell, which is a text in CSV and may be typed in Parquet, to its value; ValueError says what is wrong."""

REQUIRED: Final = ("time", "amount", "currency")
LABEL: Final = "label"

_REMEMBERED: Final = 4_096
_LABELS: Mapping[object, Label] = MappingProxyType({str(label): label for label in Label})
_MANIFOLD: Final = (Unit.MINOR_UNITS, Unit.US_CENTS)
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})
_DERIVED: Mapping[str, str] = MappingProxyType({"hour": "time", "weekday": "time", "email_domain": "email"})


def read_time(cell: object) -> int:
    """Reads RFC 3339, such as `2026-03-01T17:04:05.123Z`, as microseconds since 1970."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell  # Parquet's timestamps are handed over as microseconds
    try:
        moment = datetime.fromisoformat(cell) if isinstance(cell, str) else cell
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("is not a time such as 2026-03-01T17:04:05Z")
    return micros(moment)


def read_boolean(cell: object) -> bool:
    """Reads true or false, in any case, or 1 or 0."""
    if isinstance(cell, bool):
        return cell
    word = str(cell).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is neither true nor false")


def read_label(cell: object) -> Label:
    """Reads `fraud` or `legit`, in any case."""
    label = _LABELS.get(cell) or _LABELS.get(str(cell).lower())
    if label is None:
        raise ValueError("is neither fraud nor legit; leave it empty where it is unknown")
    return label


class Remembered(dict[Any, Any]):
    """A reader of a column that has few different cells: what was read once is looked up."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, cell: Any) -> Any:
        value = self._read(cell)
        if len(self) < _REMEMBERED:
            self[cell] = value
        return value


def reader_of(word: Fact) -> Read:
    """Returns what reads a fact: into the type and case in which rules see it."""
    if word.told:
        return _told(word)
    match word.kind:
        case Kind.BOOLEAN:
            return Remembered(read_boolean).__getitem__
        case Kind.INTEGER:
            read = _dollars(word) if word.unit is Unit.US_CENTS else _integer(word)
            return read if word.unit in _MANIFOLD else Remembered(read).__getitem__
        case Kind.TEXT:
            few = word.values or word.case is Case.UPPER or word.name == "merchant"
            return Remembered(_text(word)).__getitem__ if few else _text(word)


def _told(word: Fact) -> Read:
    """What merchants tell is unknown where it is not of its type, as in production."""
    text = _text(word)

    def read(cell: object) -> object:
        value = converted(cell if isinstance(cell, int) else _written(cell), word)
        return text(value) if isinstance(value, str) else value

    return read


def _text(word: Fact) -> Read:
    normalise, lower, as_is = word.normalise, word.case is Case.LOWER, word.case is Case.AS_IS

    def read(cell: object) -> str:
        text = cell if type(cell) is str else _written(cell)
        if len(text) <= MAX_TEXT // 3:  # in another case a text may have three times as many characters
            return text if as_is else text.lower() if lower else normalise(text)
        return normalise(text[:MAX_TEXT])[:MAX_TEXT]

    return read


def _written(cell: object) -> str:
    if isinstance(cell, bytes | list | dict | float):
        raise ValueError("is not a text")
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _integer(word: Fact) -> Read:
    low, high = word.minimum, word.maximum

    def read(cell: object) -> int:
        number = _whole(cell)
        if not low <= number <= high:
            raise ValueError(f"is out of range: {low:,} to {high:,}")
        return number

    return read


def _whole(cell: object) -> int:
    if isinstance(cell, bool):
        raise ValueError("is not a whole number")
    if isinstance(cell, int):
        return cell
    if isinstance(cell, float | Decimal) and cell == cell // 1:
        return int(cell)
    text = cell if isinstance(cell, str) else str(cell)
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 20:
        raise ValueError("is not a whole number")
    return int(text)


def _dollars(word: Fact) -> Read:
    def read(cell: object) -> int:
        try:
            cents = Decimal(str(cell)) * 100
        except InvalidOperation:
            raise ValueError("is not an amount in dollars such as 49.90") from None
        if not cents.is_finite() or abs(cents) > word.maximum or cents != int(cents) or cents < word.minimum:
            raise ValueError("is not an amount in dollars such as 49.90")
        return int(cents)

    return read


_SAID: Final = Fact("", Kind.TEXT, "", case=Case.LOWER)

OUTCOMES: Mapping[str, tuple[Read, str]] = MappingProxyType(
    {
        "approved": (Remembered(read_boolean).__getitem__, "Whether the processor approved it."),
        "declined": (Remembered(read_boolean).__getitem__, "Whether the processor declined it."),
        "blocked": (
            Remembered(read_boolean).__getitem__,
            "Whether rules blocked it, so that no processor saw it.",
        ),
        "refunded_at": (read_time, "When something was first returned."),
        "refunded_amount": (_integer(Fact("", Kind.INTEGER, "")), "What was returned, in minor units; else all of it."),
        "disputed_at": (read_time, "When it was disputed."),
        "early_fraud_warning_at": (read_time, "When the card network warned of it."),
    }
    | {name: (_text(_SAID), "What the processor said.") for name in LAST}
)
"""What became of a payment. Each counts for later payments alone, and a moment from then on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which columns are read, by place in the row, and what is to be told of the others.

    Attributes:
        columns: How many there are.
        facts: Place, name and reader of each fact that is needed.
        outcomes: The same of each outcome that is there.
        derived: Facts that are computed since the file lacks them: `hour` and `weekday` in UTC, `email_domain`.
        missing: Facts that the rules name and the file lacks; they are unknown of every payment.
        notes: What is to be told of the columns, a sentence each.
    """

    columns: int
    time: int
    label: int | None
    facts: tuple[tuple[int, str, Read], ...]
    outcomes: tuple[tuple[int, str, Read], ...]
    derived: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """The places that are read, in order."""
        places = {self.time, *(place for place, _, _ in (*self.facts, *self.outcomes))}
        return tuple(sorted(places | ({self.label} if self.label is not None else set())))


def plan_columns(header: Sequence[str], words: Mapping[str, Fact], needed: Iterable[str], label: str = LABEL) -> Plan:
    """Finds the columns that a backtest needs.

    Args:
        words: The facts that the rules may name, velocity facts excluded.
        needed: The facts that they do name or that their velocity rests on.
        label: The column that holds `fraud` or `legit`; it may be missing where it has its usual name.

    Raises:
        ValueError: A column is missing or there twice; its message names it.
    """
    _refuse(header, label)
    places = {name: place for place, name in enumerate(header)}
    needed = set(needed)
    asked = {*needed, "amount", "currency", "merchant"}
    derived = tuple(name for name in words if name in asked and name not in places and _DERIVED.get(name) in places)
    # What a fact is derived from is read even where no rule names it.
    read = [name for name in words if name in places and (name in asked or name in {_DERIVED[one] for one in derived})]
    absent = [name for name in words if name in needed and name not in places and name not in derived]
    return Plan(
        len(header),
        places["time"],
        places.get(label),
        tuple((places[name], name, reader_of(words[name])) for name in read),
        tuple((places[name], name, read_cell) for name, (read_cell, _) in OUTCOMES.items() if name in places),
        derived,
        tuple(name for name in absent if name != "amount_usd" and not name.startswith(LISTED)),
        tuple(_notes(header, words, derived, label)),
    )


def _refuse(header: Sequence[str], label: str) -> None:
    for name, count in Counter(header).items():
        if count > 1:
            raise ValueError(f"the column {name[:80]!r} is there {count} times")
    for name in REQUIRED if label == LABEL else (*REQUIRED, label):
        if name not in header:
            raise ValueError(f"there is no column {name!r} {nearest(name, header)}".rstrip())


def _notes(header: Sequence[str], words: Mapping[str, Fact], derived: Sequence[str], label: str) -> Iterator[str]:
    known = {*words, *OUTCOMES, "time", label}
    for name in header:
        if name not in known:
            hint = nearest(name, known)
            yield f"The column {name[:80]!r} is not used{f': {hint}' if hint else '.'}"
    for name in derived:
        yield f"{name} was computed from {_DERIVED[name]}{'' if name == 'email_domain' else ', in UTC'}."
    if label not in header:
        yield "The file has no labels, so nothing can be said of precision and recall."
