"""Puts a load on something and says what came of it: how many, how fast, and at whose cost."""

import base64
import json
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Final, Literal
from uuid import uuid4

from bench.usage import Groups, cpu_seconds

_HEAD_START_S: Final = 0.1
"""From when all load processes are ready to their first call."""
_SAMPLE_S: Final = 1.0
Protocol = Literal["grpc", "grpc-edge", "rest"]
"""How calls come: gRPC straight to the servers, gRPC through Envoy, or REST through Envoy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load; one of `clients` (closed loop) and `rate` (open loop, calls a second) is given.

    Attributes:
        targets: Host and port of each that takes connections.
        keys: API keys of the merchants.
        operation: `create`, `get`, `list`, or `guide` for the guide's own kind of payment.
        seconds: That are measured, after `warmup_s`.
        processes: That make the load.
        expected: What an answer holds that is as it should be.
        payments: For reads: (index of the merchant's key, payment id).
        cards: How many card holders pay.
        card: The number of every card, where a sandbox knows few.
    """

    protocol: Protocol
    targets: Sequence[tuple[str, int]]
    keys: Sequence[str]
    operation: str = "create"
    clients: int = 0
    rate: float = 0.0
    seconds: float = 5.0
    warmup_s: float = 1.0
    processes: int = 2
    expected: str = '"state":"COMPLETED"'
    payments: Sequence[tuple[int, str]] = ()
    cards: int = 20_000
    card: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a load.

    Attributes:
        per_s: Calls that ended well in the measured time, a second.
        outcomes: Of all calls; see `bench.load.drive.Tally`.
        latencies_s: Of those that ended well, sorted.
        cpu_ms: By group of processes, for each call that ended well.
        cpu_s: By group, all of it.
    """

    per_s: float
    outcomes: Counter[str]
    latencies_s: "array[float]" = field(repr=False)
    cpu_ms: Mapping[str, float]
    cpu_s: Mapping[str, float]

    def percentile_ms(self, share: float) -> float:
        """Returns the latency that this share of calls stays within, in milliseconds; 0 where there are none."""
        if not self.latencies_s:
            return 0.0
        return self.latencies_s[max(0, ceil(share * len(self.latencies_s)) - 1)] * 1000

    @property
    def failed(self) -> int:
        """How many calls ended neither well nor with the word to come back later."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in ("ok", "refused"))


def put(load: Load, groups: Groups, sample: Callable[[], object] | None = None) -> Measured:
    """Runs a load to its end; see `put_together`."""
    return put_together([load], groups, sample)[0]


def put_together(
    loads: Sequence[Load], groups: Groups, sample: Callable[[], object] | None = None
) -> Sequence[Measured]:
    """Runs loads at the same time, to their end.

    Args:
        loads: Of the same length and warm-up.
        groups: Whose CPU is counted; the load's own is called `load`.
        sample: Called at the beginning of the measured time and each second of it.

    Raises:
        RuntimeError: A load process failed; the text is what it said.
    """
    with ExitStack() as running:
        processes = [[_start(running, part, number) for number, part in enumerate(_shares(load))] for load in loads]
        everyone = [process for group in processes for process in group]
        for process in everyone:
            _wait_ready(process)
        starts = _release(everyone)
        counted = {**groups, "load": [process.pid for process in everyone]}
        begins = starts + loads[0].warmup_s
        time.sleep(max(0.0, begins - time.time()))
        before = cpu_seconds(counted)
        _watch(begins + loads[0].seconds, sample)
        cpu_s = _since(before, counted)
        return [
            merge([_finish(process) for process in group], load.seconds, cpu_s)
            for load, group in zip(loads, processes, strict=True)
        ]


def put_whole(pairs: Sequence[tuple[Load, Groups]]) -> Sequence[Measured]:
    """Runs open loops at the same time without warm-up, and counts all payments and all CPU, to the last answer.

    So CPU and payments belong to each other however late answers come, which `put` cannot promise; its rate does not
    say how fast anything is. The load's own CPU is not counted. It raises as `put_together` does.

    Args:
        pairs: Each load with whose CPU is counted for it.
    """
    with ExitStack() as running:
        loads = [replace(load, warmup_s=0.0) for load, _ in pairs]
        processes = [[_start(running, part, number) for number, part in enumerate(_shares(load))] for load in loads]
        for process in (everyone := [process for group in processes for process in group]):
            _wait_ready(process)
        before = [cpu_seconds(groups) for _, groups in pairs]
        _release(everyone)
        answers = [[_finish(process) for process in group] for group in processes]
        costs = [_since(cpu_s, groups) for cpu_s, (_, groups) in zip(before, pairs, strict=True)]
    return [
        merge([one | {"completed": one["outcomes"].get("ok", 0)} for one in group], load.seconds, cpu_s)
        for load, group, cpu_s in zip(loads, answers, costs, strict=True)
    ]


def _release(processes: Sequence[subprocess.Popen[str]]) -> float:
    """Lets load processes that are ready begin together; returns when, in seconds since 1970."""
    starts = time.time() + _HEAD_START_S
    for process in processes:
        _say(process, f"{starts}\n")
    return starts


def _since(before: Mapping[str, float], groups: Groups) -> dict[str, float]:
    after = cpu_seconds(groups)
    return {name: after[name] - value for name, value in before.items()}


def _watch(until: float, sample: Callable[[], object] | None) -> None:
    while True:
        if sample is not None:
            sample()
        if (left := until - time.time()) <= 0:
            return
        time.sleep(min(left, _SAMPLE_S))


def _shares(load: Load) -> list[Load]:
    """What each process does of a load."""
    clients = [(load.clients + number) // load.processes for number in range(load.processes)]
    return [replace(load, clients=some, rate=load.rate / load.processes) for some in clients]


def _start(running: ExitStack, load: Load, number: int) -> subprocess.Popen[str]:
    job = {name: getattr(load, name) for name in Load.__slots__} | {
        "seed": number, "unique": uuid4().hex,
        "expected": "" if load.operation in ("get", "list") else load.expected,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    running.enter_context(process)
    running.callback(process.kill)  # before it is waited for; nothing happens to one that has ended
    _say(process, json.dumps(job) + "\n")
    return process


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the load generator could not begin:\n{process.communicate()[1]}")


def _finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the load generator failed:\n{err}")
    answer: dict[str, Any] = json.loads(out)
    return answer


def merge(answers: Sequence[Mapping[str, Any]], seconds: float, cpu_s: Mapping[str, float]) -> Measured:
    """Puts together what load processes printed.

    Args:
        seconds: That were measured.
        cpu_s: By group of processes, in that time.
    """
    outcomes: Counter[str] = Counter()
    latencies: array[float] = array("f")
    completed = 0
    for answer in answers:
        outcomes.update(answer["outcomes"])
        latencies.frombytes(base64.b64decode(answer["latencies_s"]))
        completed += answer["completed"]
    per_call = {name: value * 1000 / completed if completed else 0.0 for name, value in cpu_s.items()}
    return Measured(completed / seconds, outcomes, array("f", sorted(latencies)), per_call, cpu_s)
