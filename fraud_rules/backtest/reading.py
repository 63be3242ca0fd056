"""Files of payments, CSV or Parquet, read as a stream in the order of their rows. Called by the command line."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from math import isnan
from pathlib import Path
from typing import Any

from fraud_rules.backtest.columns import LABEL, Plan, plan_columns
from fraud_rules.backtest.payments import DataError, Payment
from fraud_rules.backtest.rows import row_reader
from fraud_rules.backtest.sources import Opened, Progress, Source
from fraud_rules.facts import Fact

Asked = tuple[Mapping[str, Fact], Iterable[str]]

_EVERY = 4_096
_BATCH = 8_192


def source_of(path: Path, label: str = LABEL) -> Source:
    """Returns the file as a source: Parquet by its ending, everything else as CSV.

    Args:
        label: The column that holds `fraud` or `legit`.
    """
    return ParquetSource(path, label) if path.suffix.lower() in {".parquet", ".pq"} else CsvSource(path, label)


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV file in UTF-8: the first line names the columns, cells are separated by commas (RFC 4180)."""

    path: Path
    label: str = LABEL

    def open(self, words: Mapping[str, Fact], needed: Iterable[str], reach_s: int | None) -> Opened:
        """Reads the first line; how far the rules reach back is no matter, since the file is all there is."""
        _, header = next(self._lines(lambda share: None), (0, None))
        if header is None:
            raise DataError(str(self.path), 0, "", "is empty; its first line must name the columns")
        plan = _planned(str(self.path), header, (words, needed), self.label)
        return Opened(str(self.path), partial(self._payments, plan), lambda: plan.missing, plan.notes)

    def _payments(self, plan: Plan, progress: Progress) -> Iterator[Payment]:
        source = str(self.path)
        make, width = row_reader(source, plan, self.label), plan.columns
        lines = self._lines(progress)
        next(lines)
        for line, cells in lines:
            if len(cells) != width:
                if not cells:
                    continue
                raise DataError(source, line, "", f"has {len(cells):,} cells where the first line has {width:,}")
            yield make(line, cells)

    def _lines(self, progress: Progress) -> Iterator[tuple[int, list[str]]]:
        """Yields each row with the number of its last line."""
        source = str(self.path)
        reader = None
        try:
            with self.path.open("rb") as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
                size = max(1, self.path.stat().st_size)
                reader = csv.reader(text, strict=True)
                for count, cells in enumerate(reader):
                    if count % _EVERY == 0:
                        progress(min(1.0, raw.tell() / size))
                    yield reader.line_num, cells
        except OSError as error:
            raise DataError(source, 0, "", f"cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = reader.line_num if reader else 0
            raise DataError(source, line, "", "is not UTF-8 text, in this line or one of the next hundred") from error
        except csv.Error as error:
            raise DataError(source, reader.line_num if reader else 0, "", f"is not CSV: {error}") from error


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A Parquet file; needs the package pyarrow, the extra `parquet` of this distribution."""

    path: Path
    label: str = LABEL

    def open(self, words: Mapping[str, Fact], needed: Iterable[str], reach_s: int | None) -> Opened:
        """Reads the file's schema; how far the rules reach back is no matter, since the file is all there is."""
        arrow = _arrow(str(self.path))
        with self._file() as file:
            schema = file.schema_arrow
            names = list(schema.names)
            for field in schema:
                if arrow.types.is_nested(field.type) or arrow.types.is_binary(field.type):
                    raise DataError(str(self.path), 0, field.name, "is a column of lists, structures or bytes")
        plan = _planned(str(self.path), names, (words, needed), self.label)
        return Opened(str(self.path), partial(self._payments, plan), lambda: plan.missing, plan.notes)

    def _payments(self, plan: Plan, progress: Progress) -> Iterator[Payment]:
        source = str(self.path)
        make = row_reader(source, plan, self.label)
        arrow = _arrow(source)
        with self._file() as file:
            names = file.schema_arrow.names
            total, place = max(1, file.metadata.num_rows), 0
            columns = [names[index] for index in plan.places]
            empty = [None] * len(names)
            try:
                for batch in file.iter_batches(_BATCH, columns=columns):
                    cells = [_cells(arrow, batch.column(name)) for name in columns]
                    for row in zip(*cells, strict=True):
                        place += 1
                        spread = empty.copy()
                        for index, cell in zip(plan.places, row, strict=True):
                            spread[index] = cell
                        yield make(place, spread)
                    progress(place / total)
            except arrow.ArrowException as error:
                raise DataError(source, place, "", f"is damaged: {_first_line(error)}") from error

    def _file(self) -> Any:
        source = str(self.path)
        arrow = _arrow(source)
        from pyarrow import parquet  # noqa: PLC0415 - an extra: the rest of the library works without it

        try:
            return parquet.ParquetFile(self.path)
        except OSError as error:
            raise DataError(source, 0, "", f"cannot be read: {error.strerror or _first_line(error)}") from error
        except arrow.ArrowException as error:
            raise DataError(source, 0, "", f"is not a Parquet file: {_first_line(error)}") from error


def _planned(source: str, header: list[str], asked: Asked, label: str) -> Plan:
    try:
        return plan_columns(header, *asked, label)
    except ValueError as error:
        raise DataError(source, 1, "", str(error)) from None


def _arrow(source: str) -> Any:
    try:
        import pyarrow  # noqa: PLC0415 - an extra: the rest of the library works without it
    except ImportError as error:
        message = "Parquet needs pyarrow: pip install 'kassa-gateway[parquet]', or hand over CSV"
        raise DataError(source, 0, "", message) from error
    return pyarrow


def _cells(arrow: Any, column: Any) -> list[Any]:
    """Turns timestamps into whole microseconds, those without a zone are taken for UTC; and NaN into nothing."""
    if arrow.types.is_timestamp(column.type):
        return list(column.cast(arrow.timestamp("us"), safe=False).cast(arrow.int64()).to_pylist())
    cells = list(column.to_pylist())
    if arrow.types.is_floating(column.type):
        return [None if cell is None or isnan(cell) else cell for cell in cells]
    return cells


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
