"""`kassa bench scale`: how throughput and cost change with clients, servers, the processor's slowness and the past.

One axis at a time, on a stack of its own for each setting of a server. Each result is appended to a file as it comes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer
from rich.console import Console

from bench import chart
from bench.chart import Element
from bench.report import Row, append, row, show_troubles, table_of_rows, table_of_texts, versions
from bench.run import Protocol, put
from bench.site import Gateway, open_gateway, query, scratch
from bench.usage import thread_count

AXES: Final = ("clients", "servers", "processor", "stored")
PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
_CLIENTS: Final = 256
_SLOW_MS: Final = 1000.0
_CLIENTS_OF_A_SLOW_PROCESSOR: Final = 2_400
_OPEN: Final = "SELECT count(*) FROM transactions WHERE state = 'PENDING'"
_ERRORS: Final = Console(stderr=True, highlight=False)
Result = dict[str, Any]


def numbers(text: str) -> list[int]:
    """Reads whole numbers between commas.

    Raises:
        typer.BadParameter: Something else stands there.
    """
    try:
        return [int(one.replace("_", "")) for one in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers, such as 1,8,64") from None


def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    axis: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(AXES)}; repeat it for several.")] = None,
    protocols: Annotated[str, typer.Option(help=f"Of {', '.join(PROTOCOLS)}.")] = "grpc,rest",
    clients: Annotated[str, typer.Option(help="Counts on the axis of clients.")] = "1,8,64,256,1000",
    servers: Annotated[str, typer.Option(help="Counts on the axis of servers.")] = "1,2",
    processor_ms: Annotated[str, typer.Option(help="Latencies on the axis of the processor.")] = "0,100,5000",
    stored: Annotated[str, typer.Option(help="Payments on the axis of the past.")] = "10000,1000000,10000000",
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each measurement.")] = 6.0,
    out: Annotated[Path | None, typer.Option(help="File to which each result is appended as JSON.")] = None,
    chart_file: Annotated[Path | None, typer.Option("--chart", help="Draw it: FILE.svg or FILE.html.")] = None,
) -> None:
    """Measure the gateway over counts of clients and servers, slow processors and large pasts."""
    chosen = list(axis or AXES)
    if unknown := set(chosen) - set(AXES):
        raise typer.BadParameter(f"no axis is called {', '.join(sorted(unknown))}", param_hint="--axis")
    if unknown := set(named := protocols.split(",")) - set(PROTOCOLS):
        raise typer.BadParameter(f"no protocol is called {', '.join(sorted(unknown))}", param_hint="--protocols")
    lines = {"clients": clients, "servers": servers, "processor": processor_ms, "stored": stored}
    places = {name: numbers(lines[name]) for name in chosen}
    grid = _Grid([one for one in PROTOCOLS if one in named], seconds, out)
    measure: dict[str, Callable[[Sequence[int]], None]] = {
        "clients": grid.over_clients,
        "servers": grid.over_servers,
        "processor": grid.over_processor,
        "stored": grid.over_stored,
    }
    for name in chosen:
        measure[name](places[name])
    grid.show(Console())
    if chart_file is not None:
        chart.write(chart_file, "Kassa: how it scales", list(grid.charts()))
    raise typer.Exit(1 if show_troubles([one["row"] for one in grid.results], _ERRORS) else 0)


class _Grid:
    """The results so far.

    Args:
        out: Where each is appended.
    """

    def __init__(self, protocols: Sequence[Protocol], seconds: float, out: Path | None) -> None:
        self.results: list[Result] = []
        self._protocols, self._seconds, self._out = protocols, seconds, out

    def over_clients(self, places: Sequence[int]) -> None:
        """More clients of the same two servers."""
        with _stack() as gateway:
            for clients in places:
                for protocol in self._protocols:
                    self._measure(gateway, "clients", clients, protocol, clients=clients)

    def over_servers(self, places: Sequence[int]) -> None:
        """More servers for the same clients."""
        for servers in places:
            with _stack(servers=servers) as gateway:
                for protocol in self._protocols:
                    self._measure(gateway, "servers", servers, protocol, clients=_CLIENTS)

    def over_processor(self, places: Sequence[int]) -> None:
        """A slower processor of one server, with so many clients that thousands of payments wait for it."""
        for latency_ms in places:
            slow = latency_ms >= _SLOW_MS
            how = {
                "clients": _CLIENTS_OF_A_SLOW_PROCESSOR if slow else _CLIENTS,
                "warmup_s": 1 + 1.5 * latency_ms / 1000,
                "seconds": max(self._seconds, 3 * latency_ms / 1000),
            }
            with _stack(servers=1, processor_s=latency_ms / 1000) as gateway:
                self._measure(gateway, "processor", latency_ms, "grpc", **how)

    def over_stored(self, places: Sequence[int]) -> None:
        """A larger past of the same servers."""
        for stored in places:
            with _stack(stored=stored) as gateway:
                self._measure(gateway, "stored", stored, "grpc", clients=_CLIENTS)

    def _measure(self, gateway: Gateway, axis: str, place: int, protocol: Protocol, **how: Any) -> None:
        pids = [gateway.stack.child(name).pid for name in gateway.servers]
        waiting: list[int] = []
        threads: list[int] = []

        def sample() -> None:
            if axis == "processor":
                waiting.append(int(str(query(gateway.stack, _OPEN)[0][0])))
            threads.append(max(thread_count(pid) for pid in pids))

        load = gateway.load(protocol, **{"seconds": self._seconds, **how})
        measured = put(load, gateway.groups, sample)
        name = f"{protocol}, {place:,} {_UNITS[axis]}"
        result: Result = {
            "benchmark": "scale",
            "at": round(time.time(), 3),
            "axis": axis,
            "place": place,
            "protocol": protocol,
            "clients": load.clients,
            "row": row(name, measured),
            "in_flight": max(waiting, default=None),
            "threads": max(threads, default=0),
            "memory_mb": gateway.memory_mb(),
            "versions": versions(),
        }
        append(self._out, result)
        self.results.append(result)
        _ERRORS.print(f"{name}: {measured.per_s:,.0f} a second", style="dim")

    def show(self, console: Console) -> None:
        """Prints what was measured, and what a server held meanwhile."""
        rows: list[Row] = [one["row"] for one in self.results]
        console.print(table_of_rows(rows))
        heads = ("", "payments in flight", "threads of a server", "MB of a server")
        console.print(table_of_texts(heads, [_held(one) for one in self.results]))

    def charts(self) -> Iterator[Element]:
        """One chart for each axis."""
        for axis in AXES:
            here = [one for one in self.results if one["axis"] == axis]
            if axis == "clients" and here:
                yield _curve(here)
            elif here:
                rates = {one["row"]["name"]: {"payments": one["row"]["per_s"]} for one in here}
                costs = {one["row"]["name"]: one["row"]["cpu_ms"] for one in here}
                yield chart.bars(f"Payments a second over {_SAYS[axis]}", rates, "/s")
                yield chart.bars(f"CPU of a payment over {_SAYS[axis]}", costs, "ms")


_SAYS: Final = {"servers": "servers", "processor": "the processor's latency", "stored": "payments stored"}
_UNITS: Final = {"clients": "clients", "servers": "servers", "processor": "ms", "stored": "stored"}


def _curve(results: Sequence[Result]) -> Element:
    places = list(dict.fromkeys(one["place"] for one in results))
    rates = {(one["protocol"], one["place"]): one["row"]["per_s"] for one in results}
    protocols = dict.fromkeys(one["protocol"] for one in results)
    series = {protocol: [rates.get((protocol, place)) for place in places] for protocol in protocols}
    return chart.lines("Payments a second over clients", [f"{place:,}" for place in places], series, "/s", "clients")


def _held(result: Result) -> tuple[str, ...]:
    in_flight, memory_mb = result["in_flight"], max(result["memory_mb"].values())
    waiting = "" if in_flight is None else f"{in_flight:,}"
    return result["row"]["name"], waiting, f"{result['threads']}", f"{memory_mb:,.0f}"


@contextmanager
def _stack(**how: Any) -> Iterator[Gateway]:
    with scratch() as home, open_gateway(home, tell=lambda step: _ERRORS.print(step, style="dim"), **how) as gateway:
        gateway.warm_up()
        yield gateway
