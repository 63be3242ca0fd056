"""The benchmark that `make bench` runs: the gateway beside two baselines, in the same minutes on the same Postgres."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from bench import guide, pgbench
from bench.report import Report, Row, row, versions
from bench.run import Load, Measured, Protocol, put
from bench.site import RULES, Gateway, Tell, make_database, make_rows_database, open_gateway, scratch
from bench.usage import cpu_seconds
from sandbox.local.parts import DATABASE

GUIDE: Final = Path("../shared/bench/seed_guide")
GRPC_CLIENTS: Final = 256
REST_CLIENTS: Final = (64, 256)
GUIDE_CLIENTS: Final = (4, 8, 12)
"""From about fifteen on the guide's design waits for itself: its pool has that many connections."""
SANDBOX_CLIENTS: Final = 32
SANDBOX_CARD: Final = "4242424242424242"
_READERS: Final = 32
_BOTH: Final[tuple[tuple[Protocol, str], ...]] = (("grpc", "gRPC"), ("rest", "REST"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        processor_ms: That the simulated processor takes to answer.
        stored: Payments that are in the database at the beginning.
        guide: Folder of the guide's design.
        quick: Shorter, without the sandbox, with fewer counts of clients.
    """

    servers: int = 2
    processor_ms: float = 20.0
    stored: int = 0
    guide: Path = GUIDE
    quick: bool = False

    @property
    def seconds(self) -> float:
        """Of each measurement of payments."""
        return 2.0 if self.quick else 5.0


@dataclass(slots=True)
class _Bench:
    """A run under way: its rows in order, and what it tells people meanwhile."""

    plan: Plan
    gateway: Gateway
    tell: Tell
    rows: dict[str, Row] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def load(self, protocol: Protocol, **how: Any) -> Load:
        """A load on the gateway, as long as the plan has it."""
        settings = {"seconds": self.plan.seconds, "warmup_s": 0.5 if self.plan.quick else 1.0, **how}
        return self.gateway.load(protocol, **settings)

    def measure(self, name: str, load: Load) -> Measured:
        """Puts a load on the gateway and keeps its row."""
        measured = put(load, self.gateway.groups)
        self.keep(row(name, measured))
        return measured

    def keep(self, one: Row) -> None:
        """Keeps a row, and tells of it."""
        self.rows[one["name"]] = one
        self.tell(f"{one['name']}: {one['per_s']:,.0f} a second")

    def per_s(self, *names: str) -> float | None:
        """The mean rate of rows; None where none of them is there."""
        found = [self.rows[name]["per_s"] for name in names if name in self.rows]
        return fmean(found) if found else None


def measure(plan: Plan, tell: Tell = lambda step: None) -> Report:
    """Runs the whole benchmark in a scratch folder.

    Raises:
        StackError, PgbenchError, RuntimeError: A part cannot be started; the text says why.
    """
    began = time.time()
    with scratch() as home:
        with open_gateway(
            home, servers=plan.servers, processor_s=plan.processor_ms / 1000, stored=plan.stored, tell=tell
        ) as gateway:
            bench = _Bench(plan, gateway, tell)
            _saturate(bench, make_rows_database(gateway.stack))
            memory = gateway.memory_mb(*gateway.servers, "worker", "envoy")
            _measure_guide(bench)
            _measure_latency(bench)
            _measure_reads(bench)
        if not plan.quick:
            with open_gateway(home, servers=plan.servers, processor_s=None, tell=tell) as gateway:
                bench.gateway = gateway
                _measure_sandbox(bench)
    return _report(bench, began, memory)


def _saturate(bench: _Bench, rows_dsn: str) -> None:
    """The gateway as fast as it can, each time between two runs of the database alone."""
    quick = bench.plan.quick
    bench.gateway.warm_up()
    _run_pgbench(bench, rows_dsn, 1)
    bench.measure(f"gRPC, {GRPC_CLIENTS} clients", bench.load("grpc", clients=GRPC_CLIENTS))
    _run_pgbench(bench, rows_dsn, 2)
    for clients in REST_CLIENTS[-1:] if quick else REST_CLIENTS:
        bench.measure(f"REST, {clients} clients", bench.load("rest", clients=clients))
    _run_pgbench(bench, rows_dsn, 3)


def _run_pgbench(bench: _Bench, dsn: str, number: int) -> None:
    groups = {"postgres": bench.gateway.groups["postgres"]}
    program = bench.gateway.stack.postgres.program("pgbench")
    before = cpu_seconds(groups)
    found = pgbench.run(program, dsn, seconds=2 if bench.plan.quick else 4)
    cost = (cpu_seconds(groups)["postgres"] - before["postgres"]) * 1000 / found.payments
    bench.keep({
        "name": f"pgbench, run {number}", "per_s": round(found.payments_per_s, 1), "p50_ms": None, "p99_ms": None,
        "cpu_ms": {"postgres": round(cost, 3)}, "outcomes": {"ok": found.payments}, "failed": 0,
    })  # fmt: skip


def _measure_guide(bench: _Bench) -> None:
    plan, stack = bench.plan, bench.gateway.stack
    if reason := guide.why_not(plan.guide):
        bench.skipped["guide"] = reason
        bench.tell(f"The guide's design is skipped: {reason}")
        return
    dsn = make_database(stack, "guide")
    with guide.open_guide(plan.guide.resolve(), dsn, stack.home / "log" / "guide.log") as (address, own):
        groups = {**own, "postgres": bench.gateway.groups["postgres"]}
        for clients in GUIDE_CLIENTS[1:2] if plan.quick else GUIDE_CLIENTS:
            load = Load(
                protocol="rest", targets=(address,), keys=("",), operation="guide", expected=guide.EXPECTED,
                clients=clients, seconds=2.0 if plan.quick else 3.0,
            )  # fmt: skip
            bench.keep(row(f"the guide, {clients} clients", put(load, groups)))


def _measure_latency(bench: _Bench) -> None:
    """At half of saturation, by an open loop."""
    for protocol, name in _BOTH:
        rate = _best(bench, name)[1] / 2
        bench.measure(f"{name}, half of that", bench.load(protocol, rate=rate))


def _measure_reads(bench: _Bench) -> None:
    there = bench.gateway.some_payments()
    for protocol, name in _BOTH:
        for operation, what in (("get", "reads of one"), ("list", "lists of 20")):
            how = {"clients": _READERS, "payments": there, "seconds": bench.plan.seconds / 3}
            bench.measure(f"{name}, {what}", bench.load(protocol, operation=operation, **how))


def _measure_sandbox(bench: _Bench) -> None:
    """Through the real adapter: what the processor's SDK costs is in the server's CPU."""
    load = bench.load("grpc", clients=SANDBOX_CLIENTS, card=SANDBOX_CARD)
    bench.measure("gRPC, Stripe's SDK", load)


def _best(bench: _Bench, beginning: str) -> tuple[str, float]:
    """The row with the highest rate among those at so many clients; its name and rate."""
    found = {name: one["per_s"] for name, one in bench.rows.items() if name.startswith(f"{beginning}, ") and
             name.endswith(" clients")}  # fmt: skip
    return max(found.items(), key=lambda pair: pair[1], default=("", 0.0))


def _ratio(value: float | None, base: float | None) -> float | None:
    return round(value / base, 3) if value is not None and base else None


def _report(bench: _Bench, began: float, memory: dict[str, float]) -> Report:
    plan = bench.plan
    grpc_name, grpc = _best(bench, "gRPC")
    rest_name, rest = _best(bench, "REST")
    _, best_guide = _best(bench, "the guide")
    base = ["pgbench, run 1", "pgbench, run 2", "pgbench, run 3"]
    few, many = (bench.per_s(f"REST, {clients} clients") for clients in REST_CLIENTS)

    def own(name: str, share: str) -> float:
        latency: float = bench.rows[f"{name}, half of that"][share]
        return round(latency - plan.processor_ms, 2)

    return {
        "benchmark": "standard",
        "began_at": round(began, 3),
        "took_s": round(time.time() - began, 1),
        "ratios": {
            "grpc_vs_pgbench": _ratio(grpc, bench.per_s(*base[:2])),
            "rest_vs_pgbench": _ratio(rest, bench.per_s(*base[1:])),
            "rest_vs_guide": _ratio(rest, best_guide or None),
            "rest_256_vs_64": _ratio(many, few),
        },
        "payments_per_s": {"grpc": grpc, "rest": rest, "pgbench": bench.per_s(*base), "guide": best_guide or None},
        "own_latency_ms": {
            "p50": own("REST", "p50_ms"), "p99": own("REST", "p99_ms"),
            "grpc_p50": own("gRPC", "p50_ms"), "grpc_p99": own("gRPC", "p99_ms"),
        },
        "cpu_ms_per_payment": bench.rows[rest_name]["cpu_ms"],
        "cpu_ms_per_payment_grpc": bench.rows[grpc_name]["cpu_ms"],
        "memory_mb": memory,
        "skipped": bench.skipped,
        "settings": {
            **asdict(plan), "guide": str(plan.guide), "seconds": plan.seconds, "rules": RULES,
            "grpc_best": grpc_name, "rest_best": rest_name, "database": DATABASE,
        },
        "versions": versions(),
        "rows": list(bench.rows.values()),
    }  # fmt: skip
