"""`kassa bench soak`: payments by the hundred thousand, and the servers' memory meanwhile."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from bench import chart
from bench.chart import Element
from bench.report import Row, append, row, show_troubles, table_of_texts, versions
from bench.run import Protocol, put
from bench.site import Gateway, open_gateway, scratch

_FIRST_ROUND_S: Final = 5.0
_ROUND_S: Final = 30.0
_SHORTEST_S: Final = 2.0
_LINES: Final = 20
_ERRORS: Final = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class _Soak:
    """A run under way.

    Attributes:
        samples: Seconds since the start, payments done by then (as of the last round's end), and megabytes by server.
    """

    gateway: Gateway
    out: Path | None
    every_s: float
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    _next_s: float = 0.0

    def sample(self) -> None:
        """Looks at the servers' memory when it is time to."""
        now = time.monotonic() - self.began
        if now < self._next_s:
            return
        self._next_s = now + self.every_s
        found = {"benchmark": "soak", "s": round(now, 1), "payments": self.done, "memory_mb": self.gateway.memory_mb()}
        self.samples.append(found)
        append(self.out, found)

    def go_on(self, protocol: Protocol, clients: int, payments: int) -> None:
        """Makes payments in rounds until there are so many."""
        seconds = _FIRST_ROUND_S
        while self.done < payments:
            load = self.gateway.load(protocol, clients=clients, seconds=seconds, warmup_s=0.2)
            measured = put(load, self.gateway.groups, self.sample)
            self.rows.append(row(f"round {len(self.rows) + 1}", measured))
            append(self.out, {"benchmark": "soak", "row": self.rows[-1], "versions": versions()})
            self.done += measured.outcomes["ok"]
            if not measured.outcomes["ok"]:
                raise RuntimeError(f"no payment was made in {seconds:.0f} s: {dict(measured.outcomes)}")
            left = (payments - self.done) / measured.per_s
            seconds = min(_ROUND_S, max(_SHORTEST_S, left))
            _ERRORS.print(f"{self.done:,} payments, {measured.per_s:,.0f} a second", style="dim")


def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    payments: Annotated[int, typer.Option(min=1, help="How many, at the least.")] = 100_000,
    protocol: Annotated[Protocol, typer.Option(help="grpc goes straight to the servers.")] = "grpc",
    clients: Annotated[int, typer.Option(min=1, help="Clients, each with one call.")] = 256,
    servers: Annotated[int, typer.Option(min=1, max=16, help="Server processes.")] = 2,
    processor_ms: Annotated[float, typer.Option(min=0, help="How long the simulated processor takes.")] = 20.0,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks at memory.")] = 5.0,
    out: Annotated[Path | None, typer.Option(help="File to which each look and round is appended as JSON.")] = None,
    chart_file: Annotated[Path | None, typer.Option("--chart", help="Draw it: FILE.svg or FILE.html.")] = None,
) -> None:
    """Make many payments, and see whether the servers' memory stays flat."""
    with (
        scratch() as home,
        open_gateway(
            home, servers=servers, processor_s=processor_ms / 1000, tell=lambda step: _ERRORS.print(step, style="dim")
        ) as gateway,
    ):
        soak = _Soak(gateway, out, every)
        soak.go_on(protocol, clients, payments)
        soak.sample()
    _show(soak, gateway.servers, Console())
    if chart_file is not None:
        chart.write(chart_file, "Kassa: memory over time", [_curve(soak.samples, gateway.servers)])
    raise typer.Exit(1 if show_troubles(soak.rows, _ERRORS) else 0)


def _show(soak: _Soak, servers: Sequence[str], console: Console) -> None:
    step = max(1, len(soak.samples) // _LINES)
    shown = [*soak.samples[::step], soak.samples[-1]]
    lines = [
        (f"{one['s']:,.0f}", f"{one['payments']:,}", *(f"{one['memory_mb'][name]:,.1f}" for name in servers))
        for one in shown
    ]
    console.print(table_of_texts(("seconds", "payments", *(f"MB of {name}" for name in servers)), lines))
    for name, grown in growth_mb(soak.samples).items():
        console.print(f"{name} grew by {grown:+.1f} MB in the second half of {soak.done:,} payments")


def growth_mb(samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Returns by how much each server's memory grew from the middle of the run to its end."""
    middle, last = samples[len(samples) // 2]["memory_mb"], samples[-1]["memory_mb"]
    return {name: round(last[name] - middle[name], 1) for name in last}


def _curve(samples: Sequence[dict[str, Any]], servers: Sequence[str]) -> Element:
    places = [f"{one['s']:,.0f}" for one in samples]
    series = {name: [one["memory_mb"][name] for one in samples] for name in servers}
    return chart.lines("Memory of the servers", places, series, "MB", "seconds")
