"""Results of the longer benchmarks: settings are read, memory is compared, tables and charts hold what was measured."""

from typing import Any

import pytest
import typer

from bench import overload, scale, soak
from bench.report import table_of_texts


def test_settings_are_whole_numbers_between_commas() -> None:
    assert scale.numbers("1,8,1_000") == [1, 8, 1000]
    for wrong in ("", "1,", "a", "1.5"):
        with pytest.raises(typer.BadParameter, match="whole numbers"):
            scale.numbers(wrong)


def result(axis: str, place: int, protocol: str, per_s: float) -> dict[str, Any]:
    row = {"name": f"{protocol} {place}", "per_s": per_s, "cpu_ms": {"server": 1.0}, "p50_ms": 1.0, "p99_ms": 2.0}
    held = {"in_flight": 2_400, "threads": 21, "memory_mb": {"server-1": 180.0}}
    return {
        "axis": axis,
        "place": place,
        "protocol": protocol,
        "row": row | {"outcomes": {"ok": 1}, "failed": 0},
    } | held


def test_each_axis_that_was_measured_has_its_charts() -> None:
    grid = scale._Grid(["grpc", "rest"], 1.0, None)
    grid.results += [result("clients", 1, "grpc", 90.0), result("clients", 8, "grpc", 500.0)]
    grid.results += [result("clients", 8, "rest", 400.0), result("stored", 10_000, "grpc", 900.0)]
    titles = [chart.get("aria-label") or "" for chart in grid.charts()]
    assert [title.partition(" over ")[2] for title in titles] == ["clients", "payments stored", "payments stored"]


def test_a_grid_says_what_a_server_held() -> None:
    assert scale._held(result("processor", 5_000, "grpc", 400.0)) == ("grpc 5000", "2,400", "21", "180")
    assert scale._held(result("clients", 8, "grpc", 400.0) | {"in_flight": None})[1] == ""


def test_memory_is_compared_from_the_middle_on() -> None:
    """What a server takes at first is no leak."""
    samples = [{"memory_mb": {"server-1": value}} for value in (120.0, 170.0, 175.0, 176.5)]
    assert soak.growth_mb(samples) == {"server-1": 1.5}
    assert soak.growth_mb(samples[:1]) == {"server-1": 0}


def test_a_step_of_overload_is_told_in_a_line() -> None:
    step = {
        "share_percent": 200, "offered_per_s": 2_000.0,
        "payments": {
            "per_s": 950.0, "outcomes": {"ok": 1, "refused": 1_050}, "failed": 0, "p50_ms": 80.0, "p99_ms": 210.0,
        },
        "reads": {"p99_ms": 40.0},
    }  # fmt: skip
    told = overload._told(step)
    assert told == ("200 %", "2,000", "950", "1,050", "0", "80", "210", "40")
    assert len(told) == len(overload._HEADS)
    assert table_of_texts(overload._HEADS, [told]).row_count == 1
    assert len(overload._charts([step, step])) == 2
