"""The report has the shape that other programs rely on, and says to people what is good and what is not."""

import json
from array import array
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from bench.report import append, change, figures, read, row, show_troubles, table_of_figures, table_of_rows, versions
from bench.run import Measured

REPORT: dict[str, Any] = {
    "ratios": {"grpc_vs_pgbench": 1.5, "rest_vs_pgbench": 0.5, "rest_vs_guide": None},
    "payments_per_s": {"grpc": 1200.0},
    "own_latency_ms": {"p99": 12.0},
}


def shown(*what: object, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard")
    console.print(*what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def line(table: Table, beginning: str) -> str:
    return next(one for one in shown(table).splitlines() if one.startswith(beginning))


def measured(**outcomes: int) -> Measured:
    return Measured(512.34, Counter(outcomes), array("f", [0.25, 0.5]), {"server": 1.2345, "load": 0.1}, {})


def test_a_row_holds_what_came_of_a_load() -> None:
    assert row("gRPC", measured(ok=2, refused=1)) == {
        "name": "gRPC", "per_s": 512.3, "p50_ms": 250.0, "p99_ms": 500.0, "cpu_ms": {"server": 1.234, "load": 0.1},
        "outcomes": {"ok": 2, "refused": 1}, "failed": 0,
    }  # fmt: skip


def test_a_table_fits_a_terminal() -> None:
    wide = row("gRPC, 1000 clients", measured(ok=2)) | {"p50_ms": 21_184.0, "p99_ms": 24_945.0}
    text = shown(table_of_rows([wide]))
    assert "…" not in text
    assert "21,184  24,945" in text


def test_targets_are_green_or_red() -> None:
    green, red = "\x1b[32m", "\x1b[1;31m"
    table = table_of_figures(REPORT)
    assert green in line(table, "ratios.grpc_vs_pgbench")
    assert "≥ 1" in line(table, "ratios.grpc_vs_pgbench")
    assert red in line(table, "ratios.rest_vs_pgbench")
    assert green in line(table, "own_latency_ms.p99")
    assert "≤ 15" in line(table, "own_latency_ms.p99")
    assert green not in line(table, "payments_per_s.grpc")


def test_what_was_skipped_is_no_figure() -> None:
    assert dict(figures(REPORT)) == {
        "ratios.grpc_vs_pgbench": 1.5,
        "ratios.rest_vs_pgbench": 0.5,
        "payments_per_s.grpc": 1200,
        "own_latency_ms.p99": 12,
    }


def test_an_earlier_report_stands_beside() -> None:
    earlier = REPORT | {"payments_per_s": {"grpc": 1000.0}, "own_latency_ms": {}}
    table = table_of_figures(REPORT, earlier)
    assert line(table, "payments_per_s.grpc").split()[-3:] == ["1,000", "+20.0", "%"]
    assert "%" not in line(table, "own_latency_ms.p99")


@pytest.mark.parametrize(("old", "new", "told"), [(4, 5, "+25.0 %"), (4, 3, "-25.0 %"), (4, 4, "+0.0 %"), (0, 1, "")])
def test_a_change_is_told_in_per_cent(old: float, new: float, told: str) -> None:
    assert change(old, new) == told


def test_only_a_report_is_compared_with(tmp_path: Path) -> None:
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(REPORT))
    assert read(file) == REPORT
    for wrong in ("[]", "{}", '{"ratios": 3}', "not JSON"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="holds no report"):
            read(file)
    with pytest.raises(ValueError, match="holds no report"):
        read(tmp_path / "absent.json")


def test_failures_are_said_in_red_and_refusals_are_none() -> None:
    console = Console(file=StringIO(), width=80)
    refused, failed = row("calm", measured(ok=5, refused=2)), row("bad", measured(ok=5, **{"status 13": 3}))
    assert not show_troubles([row("fine", measured(ok=5)), refused], console)
    assert show_troubles([refused, failed], console)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines()[-2:] == ["calm: 2 refused", "bad: 3 status 13"]
    assert "fine" not in console.file.getvalue()


def test_results_are_appended_as_lines(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    for number in (1, 2):
        append(file, {"number": number})
    append(None, {"number": 3})
    assert [json.loads(one) for one in file.read_text().splitlines()] == [{"number": 1}, {"number": 2}]


def test_it_says_what_was_measured() -> None:
    known = versions()
    assert known["python"] and known["grpcio"] and known["cpus"]
