"""`python -m sandbox.simulator`, which `kassa simulate` becomes: runs seeds on one stack and says what they found."""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from sandbox.local.stack import LocalStack
from sandbox.simulator.havoc import clock_file
from sandbox.simulator.progress import Progress, summarize
from sandbox.simulator.season import Report, Settings, run_seed

_NO_LIMIT: Final = 1_000_000
_LEASE_MARGIN_S: Final = 0.5


def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    seed: Annotated[int, typer.Option(help="The first seed; the same one draws the same run.")] = 1,
    payments: Annotated[int, typer.Option(min=1, help="Payments of each seed.")] = 1_000,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, counted up from the first.")] = 1,
    apart: Annotated[float, typer.Option(help="Payments between two blows, on average.")] = 120.0,
    customers: Annotated[int, typer.Option(min=1, help="Customers who are served at the same time.")] = 32,
    deadline: Annotated[float, typer.Option(help="Seconds that the gateway waits for a processor.")] = 1.5,
    home: Annotated[Path | None, typer.Option(help="Keep the stack's logs and state here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    keep_going: Annotated[bool, typer.Option(help="Go on with the next seed after a violation.")] = True,
) -> None:
    """Runs payments against the whole gateway with faults drawn from a seed, heals it, and demands that all is true."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    settings = Settings(payments=payments, apart=apart, customers=customers, deadline_s=deadline)
    progress = Progress(Console(stderr=True, highlight=False), seeds * payments)
    reports: list[Report] = []
    with _folder(home) as folder, _stack(folder, settings, progress) as stack, progress:
        for number in range(seed, seed + seeds):
            report = run_seed(stack, number, settings, progress.show)
            reports.append(report)
            progress.conclude(report)
            if report.findings and not keep_going:
                break
    summary = summarize(reports)
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        progress.tell(summary)
    raise typer.Exit(1 if any(report.findings for report in reports) else 0)


@contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    if home is not None:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="kassa-simulator-") as folder:
        yield Path(folder)


@contextmanager
def _stack(folder: Path, settings: Settings, progress: Progress) -> Iterator[LocalStack]:
    environment = {
        "KASSA_PROCESSOR_DEADLINE_S": str(settings.deadline_s),
        "KASSA_LEASE_MARGIN_S": str(_LEASE_MARGIN_S),
        "KASSA_LOG_LEVEL": os.environ.get("KASSA_LOG_LEVEL") or "WARNING",
        "KASSA_CLOCK_OFFSET_FILE": str(clock_file(folder, "{part}")),
    }
    stack = LocalStack(
        folder,
        requests_per_key=_NO_LIMIT,
        requests_per_address=_NO_LIMIT,
        environment=environment,
        sandbox_options=["--later-s", "1", "--retry-s", "0.3", "--longest-retry-s", "2"],
        commit_proxy=True,
        on_step=progress.step,
    )
    try:
        with stack:
            yield stack
    finally:
        # As root the database lies elsewhere, behind a link, and nothing else would remove it.
        shutil.rmtree((stack.home / "postgres").resolve(), ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
