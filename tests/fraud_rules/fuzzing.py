"""Runs a fuzzer's rounds in child processes, so that a crash or a hang is a finding like any other.

Every round has a seed of its own, and needs nothing but it: to see a round again, run the fuzzer from its seed.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Try = Callable[[int], Counter[str]]
"""Runs the round of a seed and counts what it did; raises where something is wrong."""

_MEMORY = 2 << 30
_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A round that went wrong: what its process said last, or which signal ended it."""

    seed: int
    what: str


def serve(try_round: Try, first: int, rounds: int, seconds: int) -> None:
    """The child: says on standard output which round it begins, and what it counted in it.

    Args:
        seconds: Of CPU time, so that a busy machine finds nothing; a round that takes more is ended by its own timer.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for seed in range(first, first + rounds):
        _say({"begins": seed})
        signal.setitimer(signal.ITIMER_PROF, seconds)
        counted = try_round(seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _say({"counted": counted})


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(message)}\n")
    sys.stdout.flush()


def watch(command: Sequence[str], first: int, batch: int) -> Iterator[Counter[str] | Finding]:
    """Yields what each round counted, or what went wrong in it; goes on with the next round for ever.

    Args:
        command: Runs the child, once `--seed` and `--rounds` are added.
        batch: Rounds of one child; a new one forgets what the old one leaked.
    """
    seed = first
    while True:
        current, arguments = seed, [*command, "--seed", str(seed), "--rounds", str(batch)]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True) as child,
        ):
            try:
                for line in child.stdout or ():
                    said = json.loads(line)
                    current = said.get("begins", current)
                    if "counted" in said:
                        yield Counter(said["counted"])
                code = child.wait()
            finally:
                child.kill()
            errors.seek(0)
            if code:
                yield Finding(current, _cause(code, errors.read()))
        seed = current + 1


def _cause(code: int, errors: str) -> str:
    last = "\n".join(errors.strip().splitlines()[-12:])
    if code >= 0:
        return last or f"exit code {code}"
    name = signal.Signals(-code).name
    return f"took too long\n{last}" if name == "SIGPROF" else f"the process died of {name}\n{last}"


def main(module: str, unit: str, try_round: Try, *, batch: int, seconds: int) -> int:
    """The command line of a fuzzer.

    Args:
        module: Its name, to start it again as a child.
        unit: What it counts up to, such as `evaluations`; an option has its name.
        batch, seconds: Rounds of one child, and the CPU time that one round may take.

    Returns:
        The exit code: 1 where anything was found.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument(f"--{unit}", type=int, default=1_000, help="stop after so many")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each next round has the next one")
    parser.add_argument("--rounds", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds:
        serve(try_round, options.seed, options.rounds, seconds)
        return 0
    command = [sys.executable, "-m", module]
    return run(watch(command, options.seed, batch), unit, getattr(options, unit), command)


def run(rounds: Iterator[Counter[str] | Finding], unit: str, wanted: int, command: Sequence[str]) -> int:
    """Runs rounds until there are enough, tells on standard output, and returns the exit code."""
    total: Counter[str] = Counter()
    findings, begun = 0, time.monotonic()
    told = begun
    for result in rounds:
        if isinstance(result, Finding):
            findings += 1
            again = f"{' '.join(command[1:])} --{unit} 1 --seed {result.seed}"
            sys.stdout.write(f"FOUND with seed {result.seed}; again by: python {again}\n{result.what}\n\n")
        else:
            total += result
        now = time.monotonic()
        if total[unit] >= wanted or findings >= 20:
            break
        if now - told > _EVERY_S:
            told = now
            rate = total[unit] / (now - begun)
            sys.stdout.write(f"{total[unit]:,} of {wanted:,} {unit}, {rate:,.0f} a second, {findings} findings\n")
            sys.stdout.flush()
    counts = ", ".join(f"{count:,} {what}" for what, count in sorted(total.items(), key=lambda item: item[0] != unit))
    sys.stdout.write(f"{counts}; {findings} findings in {time.monotonic() - begun:,.0f} s\n")
    return 1 if findings else 0
