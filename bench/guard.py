"""`kassa bench guard --against REV`: has a payment become dearer than it was in another revision?

Servers of both revisions run beside each other, each with a Postgres of its own, and in each of some rounds both are
sent the same number of payments at the same rate and at the same time, so that whatever else the machine does meets
both. What counts is the CPU of all that a round made, which is far steadier than time, and of it each round's ratio.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import accumulate, zip_longest
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from bench.report import row, show_troubles, versions
from bench.run import Measured, put_whole
from bench.site import Gateway, open_gateway, scratch
from bench.stand_in import BURN

CHECKOUT: Final = Path(__file__).parents[1]
_PROCESSOR_S: Final = 0.02
_OF: Final = {"server and Postgres": ("server", "postgres"), "the server": ("server",)}
"""Both are judged: a server that works longer commits more payments at once, which hides a part of it in the sum."""
_CONFIDENCE: Final = 0.95
# -P keeps the current folder out of the search path, which PYTHONPATH alone then decides.
_GATEWAY: Final = (sys.executable, "-P", "-m", "bench.stand_in")
_ERRORS: Final = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rounds say.

    Attributes:
        ratio: Of new cost ÷ old cost, the typical one of all rounds.
        low: The ratio's confidence interval of 95 % begins here, and ends at `high`.
        slower: The ratio is above what is allowed, and not by chance.
    """

    ratio: float
    low: float
    high: float
    slower: bool


def judge(ratios: Sequence[float], allowed: float = 1.15, surely: float = 1.05) -> Verdict:
    """Judges the ratios of rounds by their ranks alone, so that a wild one counts as little as any other.

    Args:
        ratios: At least six, fewer cannot make an interval of 95 %.
        allowed: A typical ratio above this is too much …
        surely: … where the interval begins above this.
    """
    ratio, low, high = (exp(value) for value in center([log(ratio) for ratio in ratios]))
    return Verdict(round(ratio, 4), round(low, 4), round(high, 4), ratio > allowed and low > surely)


def center(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns the center of values, and its confidence interval of 95 %.

    It is the median of the means of all pairs (Hodges and Lehmann), with the interval of Wilcoxon's signed ranks:
    nearly as exact as a mean where noise is normal, and nearly as unmoved as a median where it is not.

    Raises:
        ValueError: There are less than six values.
    """
    count = len(values)
    means = sorted((values[one] + values[other]) / 2 for one in range(count) for other in range(one, count))
    outside = _rank_sums_outside(count)
    if not outside:
        raise ValueError(f"{count} values make no interval of {_CONFIDENCE:.0%}")
    return median(means), means[outside - 1], means[-outside]


def _rank_sums_outside(count: int) -> int:
    """Counts the smallest sums of signed ranks that are, together, less likely than one side's share of the rest."""
    ways = [1]  # by sum: how many sets of the ranks so far have it
    for rank in range(1, count + 1):
        ways = [with_it + without for with_it, without in zip_longest([0] * rank + ways, ways, fillvalue=0)]
    below = list(accumulate(ways))
    return sum(one <= 2**count * (1 - _CONFIDENCE) / 2 for one in below)


def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    against: Annotated[str, typer.Option(help="The revision to compare with, as git knows it.")],
    rounds: Annotated[int, typer.Option(min=6, help="How many; one more comes first and does not count.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each round.")] = 2.0,
    rate: Annotated[float, typer.Option(min=1, help="Payments a second that each of both is sent.")] = 100.0,
    allowed: Annotated[float, typer.Option(min=1, help="How many times the old cost is allowed.")] = 1.15,
    burn: Annotated[float, typer.Option(min=0, help="Share of its CPU that the new server burns, to try this.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; people read standard error.")] = False,
) -> None:
    """Tell whether a payment costs more CPU than in another revision; exit code 1 where it does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began = time.monotonic()
    with _worktree(against) as tree, scratch() as home, ExitStack() as stacks:
        before, after = (
            stacks.enter_context(_open(home / name, source, share))
            for name, source, share in (("old", tree, 0.0), ("new", CHECKOUT, burn))
        )
        for gateway in (before, after):
            gateway.warm_up()
        _ERRORS.print(f"{rate:,.0f} payments a second for each, {rounds} rounds", style="dim")
        found = [_round(before, after, rate, seconds) for _ in range(rounds)]
    costs = {name: [(cost(old, groups), cost(new, groups)) for old, new in found] for name, groups in _OF.items()}
    verdicts = {name: judge([after / before for before, after in pairs], allowed) for name, pairs in costs.items()}
    console = _ERRORS if as_json else Console(highlight=False)
    for name, verdict in verdicts.items():
        _show(name, verdict, costs[name], allowed, console)
    if as_json:
        settings = {"against": against, "rate": rate, "seconds": seconds, "allowed": allowed, "burn": burn}
        took = {"took_s": round(time.monotonic() - began, 1), "settings": settings, "versions": versions()}
        told = {name: asdict(verdict) | {"cpu_ms": costs[name]} for name, verdict in verdicts.items()}
        print(json.dumps({"benchmark": "guard", "of": told, **took}, indent=2))
    rows = [row(name, one) for pair in found for name, one in zip(("old", "new"), pair, strict=True)]
    raise typer.Exit(1 if show_troubles(rows, _ERRORS) or any(one.slower for one in verdicts.values()) else 0)


@contextmanager
def _worktree(revision: str) -> Iterator[Path]:
    """Checks a revision out for the block."""
    with scratch() as folder:
        tree = folder / "old"
        _git("worktree", "add", "--detach", "--quiet", str(tree), revision)
        try:
            if not (tree / "bench" / "stand_in.py").is_file():
                raise typer.BadParameter(f"{revision} is from before this benchmark: it has no bench/stand_in.py")
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise typer.BadParameter(f"git {arguments[0]}: {done.stderr.strip()}")


@contextmanager
def _open(home: Path, tree: Path, burn: float) -> Iterator[Gateway]:
    """Runs the servers of a checkout."""
    environment = {"PYTHONPATH": os.pathsep.join([str(tree), str(tree / "clients" / "python")]), BURN: str(burn)}
    with open_gateway(
        home, servers=1, processor_s=_PROCESSOR_S, environment=environment, gateway=_GATEWAY,
        tell=lambda step: _ERRORS.print(f"{home.name}: {step}", style="dim"),
    ) as gateway:  # fmt: skip
        yield gateway


def _round(old: Gateway, new: Gateway, rate: float, seconds: float) -> tuple[Measured, Measured]:
    """Both at the same time; returns what the old one did and what the new one did."""
    loads = [gateway.load("grpc", rate=rate, seconds=seconds, processes=1) for gateway in (old, new)]
    before, after = put_whole([(loads[0], old.groups), (loads[1], new.groups)])
    _ERRORS.print(f"{cost(before):.3f} → {cost(after):.3f} ms, {cost(after) / cost(before):.3f} times", style="dim")
    return before, after


def cost(measured: Measured, groups: Sequence[str] = ("server", "postgres")) -> float:
    """Returns the CPU of a payment in groups of processes, in milliseconds.

    Raises:
        RuntimeError: No payment was made.
    """
    if not measured.outcomes["ok"]:
        raise RuntimeError(f"no payment was made: {dict(measured.outcomes)}")
    return sum(measured.cpu_ms[group] for group in groups)


def _show(name: str, verdict: Verdict, costs: Sequence[tuple[float, float]], allowed: float, console: Console) -> None:
    old, new = (median(column) for column in zip(*costs, strict=True))
    says: Mapping[bool, tuple[str, str]] = {
        True: (f"dearer than the {allowed:g} times that are allowed", "bold red"),
        False: ("not dearer than allowed", "green"),
    }
    told, style = says[verdict.slower]
    console.print(f"CPU of a payment in {name}: {old:.3f} ms then, {new:.3f} ms now")
    console.print(
        Text(f"{verdict.ratio:.3f} times (95 %: {verdict.low:.3f} to {verdict.high:.3f}): {told}", style=style)
    )
