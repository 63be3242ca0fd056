"""The standard run's report: its ratios are of neighbouring runs, and what was skipped is null."""

import json
from pathlib import Path
from typing import Any, cast

from bench.report import TARGETS, figures
from bench.site import Gateway
from bench.standard import Plan, _Bench, _report


def measured(name: str, per_s: float, p99_ms: float | None = 30.0) -> dict[str, Any]:
    return {
        "name": name, "per_s": per_s, "p50_ms": 25.0, "p99_ms": p99_ms, "cpu_ms": {"server": 1.0, "postgres": 0.5},
        "outcomes": {"ok": 9}, "failed": 0,
    }  # fmt: skip


def report(*others: dict[str, Any]) -> dict[str, Any]:
    bench = _Bench(Plan(processor_ms=20, guide=Path("nowhere")), cast(Gateway, None), lambda step: None)
    for one in (
        measured("pgbench, run 1", 900), measured("gRPC, 256 clients", 1_500), measured("pgbench, run 2", 1_100),
        measured("REST, 256 clients", 1_000), measured("pgbench, run 3", 1_400), measured("gRPC, half of that", 750),
        measured("REST, half of that", 600, 31.5), measured("REST, lists of 20", 9_999), *others,
    ):  # fmt: skip
        bench.keep(one)
    return _report(bench, 0.0, {"server-1": 180.0})


def test_a_rate_is_compared_with_the_database_before_and_after_it() -> None:
    found = report(measured("REST, 64 clients", 1_250))
    assert found["payments_per_s"]["rest"] == 1_250
    assert found["ratios"]["grpc_vs_pgbench"] == 1.5
    assert found["ratios"]["rest_vs_pgbench"] == 1.0
    assert found["ratios"]["rest_256_vs_64"] == 0.8
    assert found["settings"]["rest_best"] == "REST, 64 clients"


def test_the_guides_best_count_is_what_is_compared_with() -> None:
    found = report(measured("the guide, 4 clients", 150), measured("the guide, 8 clients", 200))
    assert found["payments_per_s"]["guide"] == 200
    assert found["ratios"]["rest_vs_guide"] == 5.0


def test_the_processors_time_is_no_latency_of_our_own() -> None:
    assert report()["own_latency_ms"] == {"p50": 5.0, "p99": 11.5, "grpc_p50": 5.0, "grpc_p99": 10.0}


def test_what_was_skipped_is_null() -> None:
    found = json.loads(json.dumps(report()))
    assert found["ratios"]["rest_vs_guide"] is None
    assert found["ratios"]["rest_256_vs_64"] is None
    assert found["payments_per_s"]["guide"] is None


def test_it_has_what_other_programs_ask_for() -> None:
    found = report(measured("REST, 64 clients", 1_250), measured("the guide, 8 clients", 200))
    assert {"grpc", "rest", "pgbench", "guide"} <= found["payments_per_s"].keys()
    assert {"p50", "p99"} <= found["own_latency_ms"].keys()
    assert {"server", "postgres"} <= found["cpu_ms_per_payment"].keys()
    assert found["memory_mb"] == {"server-1": 180.0}
    assert {"settings", "versions", "rows"} <= found.keys()
    assert {target.path for target in TARGETS} <= dict(figures(found)).keys()
