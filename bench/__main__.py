"""`python -m bench`, which `kassa bench` becomes: how fast the gateway is on this machine, in one command."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import chart, guard, overload, scale, soak
from bench.report import Report, read, show_troubles, table_of_figures, table_of_rows
from bench.standard import GUIDE, Plan, measure

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command("scale")(scale.main)
app.command("overload")(overload.main)
app.command("soak")(soak.main)
app.command("guard")(guard.main)
_ERRORS = Console(stderr=True, highlight=False)


@app.callback(invoke_without_command=True)
def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="In less than a minute, with rougher figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; people read standard error.")] = False,
    compare: Annotated[Path | None, typer.Option(help="An earlier run's JSON, to compare with.")] = None,
    chart_file: Annotated[Path | None, typer.Option("--chart", help="Draw it: FILE.svg or FILE.html.")] = None,
    servers: Annotated[int, typer.Option(min=1, max=16, help="Server processes.")] = 2,
    processor_ms: Annotated[float, typer.Option(min=0, help="How long the simulated processor takes.")] = 20.0,
    stored: Annotated[int, typer.Option(min=0, help="Payments that are stored beforehand.")] = 0,
    guide: Annotated[Path, typer.Option(help="Folder of the guide's design.")] = GUIDE,
) -> None:
    """Measure the gateway beside the database alone and beside the guide's design, in the same minutes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if context.invoked_subcommand is not None:
        return
    try:
        earlier = None if compare is None else read(compare)
        if chart_file is not None:
            chart.check_name(chart_file)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    plan = Plan(servers=servers, processor_ms=processor_ms, stored=stored, guide=guide, quick=quick)
    report = measure(plan, lambda step: _ERRORS.print(step, style="dim"))
    console = _ERRORS if as_json else Console()
    console.print(table_of_rows(report["rows"]), table_of_figures(report, earlier))
    if as_json:
        print(json.dumps(report, indent=2))
    if chart_file is not None:
        draw(chart_file, report)
    raise typer.Exit(1 if show_troubles(report["rows"], _ERRORS) else 0)


def draw(path: Path, report: Report) -> None:
    """Draws the rates, and what a payment costs."""
    rates = {name: {"payments": value} for name, value in report["payments_per_s"].items() if value}
    costs = {"gRPC": report["cpu_ms_per_payment_grpc"], "REST": report["cpu_ms_per_payment"]}
    title = "Payments a second, on one machine with everything on it"
    chart.write(path, "Kassa: how fast", [chart.bars(title, rates, "/s"), chart.bars("CPU of a payment", costs, "ms")])


if __name__ == "__main__":
    app()
