"""Files of facts that a payment does not bring, read line by line: of BINs and of addresses. Used by their two modules.

docs/fraud-tables.md has the formats.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TextIO

SAMPLES = "server.screening.samples"


class TableError(Exception):
    """A table cannot be read; the text names file and line, and says what to do."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file, self.line, self.message = file, line, message


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of a table, its fields by the names of the heading."""

    file: str
    line: int
    fields: Mapping[str, str]

    def wrong(self, message: str) -> TableError:
        """Makes the error that names this line."""
        return TableError(self.file, self.line, message)


def read_table(path: Path | None, sample: str, columns: Sequence[str]) -> Iterator[TableRow]:
    """Yields the lines of a CSV file in UTF-8, without empty lines and those that begin with #.

    Args:
        path: None for the sample that comes with the package.
        sample: Its name.
        columns: What the first line must say.

    Raises:
        TableError: It cannot be opened, or a line has another number of fields than the heading.
    """
    name = sample if path is None else str(path)
    try:
        opened = (resources.files(SAMPLES) / sample).open(encoding="utf-8") if path is None else _open(path)
        with opened as file:
            yield from _rows(name, file, columns)
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(name, 1, f"cannot be read as UTF-8 text: {type(error).__name__}") from None


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


def _rows(name: str, file: Iterable[str], columns: Sequence[str]) -> Iterator[TableRow]:
    heading: list[str] | None = None
    number = 0
    for number, line in enumerate(file, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            fields = [field.strip() for field in next(csv.reader([line], strict=True))]
        except csv.Error:
            raise TableError(name, number, "is no line of CSV; check its quotes") from None
        if heading is None:
            heading = fields
            if heading != list(columns):
                raise TableError(name, number, f"the first line must be the heading {','.join(columns)}")
        elif len(fields) != len(heading):
            raise TableError(name, number, f"has {len(fields)} fields where the heading has {len(heading)}")
        else:
            yield TableRow(name, number, dict(zip(heading, fields, strict=True)))
    if heading is None:
        raise TableError(name, max(number, 1), f"is empty; the first line must be the heading {','.join(columns)}")
