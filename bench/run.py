"""Puts a load on something and says what came of it: how many, how fast, and at whose cost."""

import base64
import json
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from bench.usage import Groups, cpu_seconds

_START_S = 0.8
"""How long the load processes take to start and connect, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load; one of `clients` (closed loop) and `rate` (open loop, calls a second) is given.

    Attributes:
        protocol: `grpc` or `rest`.
        operation: `create`, `get`, `list`, or `guide` for the guide's own kind of payment.
        expected: What an answer holds that is as it should be.
        payments: For reads: (merchant, payment id).
        processes: That make the load.
    """

    protocol: str
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
        per_s: Calls that ended well, a second.
        outcomes: Of all calls.
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
        return self.latencies_s[min(len(self.latencies_s) - 1, int(share * len(self.latencies_s)))] * 1000

    @property
    def failed(self) -> int:
        """How many calls ended neither well nor with the word to come back later."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in ("ok", "refused"))


def put(load: Load, groups: Groups) -> Measured:
    """Runs a load to its end.

    Args:
        groups: Whose CPU is counted; the load's own is called `load`.

    Raises:
        RuntimeError: A load process failed; the text is what it said.
    """
    starts = time.time() + _START_S
    shares = [_share(load, number) for number in range(load.processes)]
    processes = [_start(share, starts, number) for number, share in enumerate(shares)]
    everyone = {**groups, "load": [process.pid for process in processes]}
    time.sleep(max(0.0, starts + load.warmup_s - time.time()))
    before = cpu_seconds(everyone)
    time.sleep(max(0.0, starts + load.warmup_s + load.seconds - time.time()))
    after = cpu_seconds(everyone)
    answers = [_finish(process) for process in processes]
    return _merge(answers, load.seconds, {name: after[name] - before[name] for name in before})


def _share(load: Load, number: int) -> Load:
    clients = load.clients // load.processes + (number < load.clients % load.processes)
    return replace(load, clients=clients, rate=load.rate / load.processes)


def _start(load: Load, starts: float, number: int) -> "subprocess.Popen[str]":
    job = {name: getattr(load, name) for name in Load.__slots__} | {
        "starts": starts, "seed": number, "unique": uuid4().hex,
        "expected": load.expected if load.operation in ("create", "guide") else "",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    json.dump(job, process.stdin)
    process.stdin.close()
    return process


def _finish(process: "subprocess.Popen[str]") -> dict[str, object]:
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    if process.wait() != 0:
        raise RuntimeError(f"the load generator failed:\n{err}")
    answer: dict[str, object] = json.loads(out)
    return answer


def _merge(answers: Sequence[Mapping[str, object]], seconds: float, cpu_s: dict[str, float]) -> Measured:
    outcomes: Counter[str] = Counter()
    latencies: array[float] = array("f")
    for answer in answers:
        outcomes.update(answer["outcomes"])  # type: ignore[call-overload]
        latencies.frombytes(base64.b64decode(str(answer["latencies_s"])))
    done = outcomes["ok"]
    per_call = {name: value * 1000 / done if done else 0.0 for name, value in cpu_s.items()}
    return Measured(done / seconds, outcomes, array("f", sorted(latencies)), per_call, cpu_s)
