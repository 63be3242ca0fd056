"""Shows how a run goes and what it found, by rich. Called by `sandbox.simulator`."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from sandbox.simulator.season import Report

_SHOWN: Final = 20
_EVERY_S: Final = 0.2


class Progress:
    """One line that moves, and one that stays for each seed."""

    def __init__(self, console: Console, payments: int) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("seed {task.fields[seed]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f}/s · {task.fields[faults]} faults"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("payments", total=payments, seed="", rate=0.0, faults=0)
        self._before, self._faults_before, self._began, self._shown = 0, 0, 0.0, 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def step(self, name: str) -> None:
        """Says which part of the stack starts."""
        self._console.print(f"[dim]{name}[/]")

    def show(self, report: Report) -> None:
        """Moves the line, a few times a second."""
        now = time.monotonic()
        if now - self._shown < _EVERY_S:
            return
        self._shown, done = now, self._before + report.payments
        rate = done / max(now - self._began, 0.001)
        faults = self._faults_before + report.faults.total()
        self._bar.update(self._task, completed=done, seed=report.seed, rate=rate, faults=faults)

    def conclude(self, report: Report) -> None:
        """Adds a line for a seed that is over, and how to repeat one that failed."""
        self._before += report.payments
        self._faults_before += report.faults.total()
        mark = "[red]✗[/]" if report.findings else "[green]✓[/]"
        rate = report.payments / report.shopping_s if report.shopping_s else 0.0
        self._console.print(
            f"{mark} seed {report.seed}: {report.payments} payments, {report.calls} calls, {report.faults.total()} "
            f"faults, {rate:.0f}/s, settled in {report.healing_s:.1f} s"
        )
        for finding in report.findings[:_SHOWN]:
            self._console.print(f"  {finding.rule} {finding.subject}: {finding.detail}", style="red", markup=False)
            for line in report.dossiers.pop(finding.subject, []):
                self._console.print(f"    {line}", style="dim", markup=False, soft_wrap=True)
        if report.findings:
            again = f"kassa simulate --seed {report.seed} --payments {report.payments}"
            self._console.print(f"  {len(report.findings)} findings. Again: {again}", style="red", markup=False)

    def tell(self, summary: dict[str, Any]) -> None:
        """Prints the summary."""
        table = Table("", "", show_header=False)
        for name in ("seeds", "payments", "calls", "attempts", "payments_per_s", "slowest_healing_s"):
            table.add_row(name.replace("_", " "), f"{summary[name]:,}")
        for kind, count in sorted(summary["faults"].items()):
            table.add_row(f"[dim]fault[/] {kind}", f"{count:,}")
        for state, count in sorted(summary["states"].items()):
            table.add_row(f"[dim]payments[/] {state}", f"{count:,}")
        findings = sum(len(one["findings"]) for one in summary["failed"])
        table.add_row("findings", f"[{'red' if findings else 'green'}]{findings}[/]")
        self._console.print(table)


def summarize(reports: Sequence[Report]) -> dict[str, Any]:
    """Adds the seeds up, as `--json` prints them."""
    shopping_s = sum(report.shopping_s for report in reports)
    payments = sum(report.payments for report in reports)
    return {
        "seeds": len(reports),
        "payments": payments,
        "calls": sum(report.calls for report in reports),
        "attempts": sum(report.attempts for report in reports),
        "payments_per_s": round(payments / shopping_s, 1) if shopping_s else 0.0,
        "slowest_healing_s": round(max((report.healing_s for report in reports), default=0.0), 1),
        "faults": dict(sum((report.faults for report in reports), Counter())),
        "states": dict(sum((report.states for report in reports), Counter())),
        "failed": [
            {"seed": report.seed, "findings": [asdict(finding) for finding in report.findings]}
            for report in reports
            if report.findings
        ],
    }
