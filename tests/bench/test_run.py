"""A load's parts are put together without losing any; real load processes against a real gRPC server."""

import base64
import os
from array import array
from collections import Counter
from typing import Any

import pytest

from bench.run import Load, Measured, merge, put, put_together, put_whole


def measured(latencies: list[float]) -> Measured:
    return Measured(0, Counter(), array("f", latencies), {}, {})


@pytest.mark.parametrize(
    ("share", "milliseconds"), [(0.0, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.995, 100), (1.0, 100)]
)
def test_a_percentile_is_the_latency_that_so_many_calls_stay_within(share: float, milliseconds: float) -> None:
    hundred = measured([number / 1000 for number in range(1, 101)])
    assert hundred.percentile_ms(share) == pytest.approx(milliseconds, rel=1e-5)


def test_percentiles_of_few_calls() -> None:
    assert measured([0.5]).percentile_ms(0.99) == 500
    assert measured([]).percentile_ms(0.5) == 0


def answer(completed: int, outcomes: dict[str, int], latencies: list[float]) -> dict[str, Any]:
    packed = base64.b64encode(array("f", latencies).tobytes()).decode()
    return {"completed": completed, "outcomes": outcomes, "latencies_s": packed}


def test_processes_are_added_up() -> None:
    answers = [answer(3, {"ok": 3, "refused": 1}, [0.25, 0.5, 0.125]), answer(1, {"ok": 1, "status 13": 2}, [0.375])]
    whole = merge(answers, 2.0, {"server": 0.008, "load": 0.001})
    assert whole.per_s == 2
    assert whole.outcomes == {"ok": 4, "refused": 1, "status 13": 2}
    assert list(whole.latencies_s) == [0.125, 0.25, 0.375, 0.5]
    assert whole.cpu_ms == {"server": 2.0, "load": 0.25}
    assert whole.failed == 2


def test_nothing_done_costs_nothing() -> None:
    assert merge([answer(0, {}, [])], 1.0, {"server": 0.5}).cpu_ms == {"server": 0.0}


def load(port: int, **how: Any) -> Load:
    return Load(protocol="grpc", targets=[("127.0.0.1", port)], keys=["key"], seconds=2.0, warmup_s=0.1, **how)


def test_a_load_is_put_by_processes_of_its_own(grpc_port: int) -> None:
    found = put(load(grpc_port, clients=3), {"server": [os.getpid()]})
    assert found.outcomes.keys() == {"ok"}
    assert found.per_s == found.outcomes["ok"] / 2 > 0
    assert found.percentile_ms(0.99) > 0
    assert found.cpu_s.keys() == {"server", "load"}


def test_two_loads_run_at_the_same_time_and_are_told_apart(grpc_port: int) -> None:
    samples: list[int] = []
    loads = [load(grpc_port, rate=40), load(grpc_port, rate=20, operation="get", payments=[(0, "pay_1")])]
    payments, reads = put_together(loads, {"server": [os.getpid()]}, lambda: samples.append(1))
    assert payments.outcomes.keys() == {"ok"}
    assert reads.outcomes.keys() == {"status 13"}
    assert (reads.per_s, reads.failed) == (0, reads.outcomes["status 13"])
    assert samples


def test_the_whole_of_a_load_is_counted(grpc_port: int) -> None:
    """From the first call to the last answer, so that cost and payments belong to each other."""
    groups = {"server": [os.getpid()]}
    found, other = put_whole([(load(grpc_port, rate=100), groups), (load(grpc_port, rate=40), groups)])
    assert other.outcomes == {"ok": 80}
    assert found.outcomes == {"ok": found.outcomes["ok"]}
    assert found.outcomes["ok"] == 200
    assert found.cpu_ms["server"] == pytest.approx(found.cpu_s["server"] * 1000 / found.outcomes["ok"])


def test_a_load_that_cannot_begin_says_why(unused_tcp_port: int) -> None:
    with pytest.raises(RuntimeError, match=r"could not begin(.|\n)*Connect call failed|refused"):
        put(load(unused_tcp_port, clients=1), {})
