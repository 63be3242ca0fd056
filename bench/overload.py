"""`kassa bench overload`: what becomes of payments, and of reads meanwhile, when more come than can be taken."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from bench import chart, cores
from bench.chart import Element
from bench.report import append, row, show_troubles, table_of_texts, versions
from bench.run import Protocol, put, put_together
from bench.scale import numbers
from bench.site import Gateway, open_gateway, scratch

_CLIENTS: Final = 256
_READS_PER_S: Final = 20.0
_CALM_S: Final = 3.0
"""Between two steps: Envoy still judges by what became of the calls a second before."""
_ERRORS: Final = Console(stderr=True, highlight=False)
_HEADS: Final = ("of saturation", "offered /s", "done /s", "refused", "failed", "p50 ms", "p99 ms", "p99 ms of reads")
Step = dict[str, Any]


def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    protocol: Annotated[Protocol, typer.Option(help="grpc goes straight to the servers.")] = "rest",
    steps: Annotated[str, typer.Option(help="Per cent of saturation.")] = "50,75,100,125,150,200,300,400",
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each step.")] = 8.0,
    servers: Annotated[
        int | None, typer.Option(min=1, max=16, help="Server processes; one for each core that they have.")
    ] = None,
    processor_ms: Annotated[float, typer.Option(min=0, help="How long the simulated processor takes.")] = 20.0,
    apart: Annotated[
        bool,
        typer.Option("--apart/--together", help="Envoy and the load generator have half of the cores for themselves."),
    ] = True,
    out: Annotated[Path | None, typer.Option(help="File to which each step is appended as JSON.")] = None,
    chart_file: Annotated[Path | None, typer.Option("--chart", help="Draw it: FILE.svg or FILE.html.")] = None,
) -> None:
    """Offer the gateway shares and multiples of what it can take, and see what it does."""
    shares, found = numbers(steps), list[Step]()
    with _open(servers, processor_ms, apart=apart) as gateway:
        gateway.warm_up(protocol)
        saturated = put(gateway.load(protocol, clients=_CLIENTS, seconds=seconds), gateway.groups).per_s
        _ERRORS.print(f"saturation: {saturated:,.0f} a second", style="dim")
        for share in shares:
            time.sleep(_CALM_S)
            found.append(_offer(gateway, protocol, share, saturated, seconds) | {"apart": apart})
            append(out, found[-1])
            _ERRORS.print(f"{share} %: {found[-1]['payments']['per_s']:,.0f} a second", style="dim")
    Console().print(table_of_texts(_HEADS, [_told(one) for one in found]))
    if chart_file is not None:
        chart.write(chart_file, "Kassa: more than it can take", _charts(found))
    rows = [one[kind] for one in found for kind in ("payments", "reads")]
    raise typer.Exit(1 if show_troubles(rows, _ERRORS) else 0)


@contextmanager
def _open(servers: int | None, processor_ms: float, *, apart: bool) -> Iterator[Gateway]:
    """Starts a gateway, and leaves this thread, which will start the load, where it belongs."""
    inside, outside = cores.halves() if apart else (cores.everything(), cores.everything())
    with ExitStack() as stack:
        home = stack.enter_context(scratch())
        with cores.on(inside):
            opened = open_gateway(
                home, servers=servers or len(inside), processor_s=processor_ms / 1000,
                tell=lambda step: _ERRORS.print(step, style="dim"),
            )  # fmt: skip
            gateway = stack.enter_context(opened)
        for pid in gateway.groups["envoy"]:
            cores.move(pid, outside)
        stack.enter_context(cores.on(outside))
        yield gateway


def _offer(gateway: Gateway, protocol: Protocol, share: int, saturated: float, seconds: float) -> Step:
    rate = saturated * share / 100
    payments = gateway.load(protocol, rate=rate, seconds=seconds)
    reads = gateway.load(
        protocol, rate=_READS_PER_S, seconds=seconds, operation="get", payments=gateway.some_payments(), processes=1
    )
    done, read = put_together([payments, reads], gateway.groups)
    return {
        "benchmark": "overload",
        "at": round(time.time(), 3),
        "protocol": protocol,
        "share_percent": share,
        "saturation_per_s": round(saturated, 1),
        "offered_per_s": round(rate, 1),
        "payments": row(f"payments at {share} %", done),
        "reads": row(f"reads at {share} %", read),
        "memory_mb": gateway.memory_mb(),
        "versions": versions(),
    }


def _told(one: Step) -> tuple[str, ...]:
    payments, reads = one["payments"], one["reads"]
    refused = payments["outcomes"].get("refused", 0)
    rates = (f"{one['share_percent']} %", f"{one['offered_per_s']:,.0f}", f"{payments['per_s']:,.0f}")
    times = (payments["p50_ms"], payments["p99_ms"], reads["p99_ms"])
    return *rates, f"{refused:,}", f"{payments['failed']:,}", *(f"{one:,.0f}" for one in times)


def _charts(found: Sequence[Step]) -> list[Element]:
    places = [f"{one['share_percent']} %" for one in found]
    rates: chart.Series = {
        "done": [one["payments"]["per_s"] for one in found],
        "offered": [one["offered_per_s"] for one in found],
    }
    times: chart.Series = {
        "payments that were taken": [one["payments"]["p99_ms"] for one in found],
        "reads": [one["reads"]["p99_ms"] for one in found],
    }
    return [
        chart.lines("Payments a second", places, rates, "/s", "offered, of saturation"),
        chart.lines("99 of 100 answers come within", places, times, "ms", "offered, of saturation"),
    ]
