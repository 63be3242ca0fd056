"""Loads sources in a child process first, so that rules that kill or hang the engine kill or hang only that.

`RulesetHolder` takes `try_in_child` as its `trial`; `python -m fraud_rules.trial` is the child.
"""

import json
import resource
import subprocess
import sys
from dataclasses import replace

from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.loading import load_sources
from fraud_rules.sources import Sources

_SECONDS = 20
_MEMORY = 1 << 30


def try_in_child(sources: Sources, block_threshold: int | None = None) -> None:
    """Loads the sources in a child process with 20 seconds and 1 GB; takes about half a second.

    Args:
        block_threshold: As for `load_sources`.

    Raises:
        RulesError: With the child's own problems, or one that says how the child died.
    """
    if block_threshold is not None:
        sources = replace(sources, block_threshold=block_threshold)
    command = [sys.executable, "-m", "fraud_rules.trial"]
    try:
        child = subprocess.run(command, input=sources.to_json(), capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise RulesError([Problem(sources.name, 0, 0, f"loading took more than {_SECONDS} seconds")]) from error
    if child.returncode == 0:
        return
    if child.returncode == 1 and child.stdout:
        found = json.loads(child.stdout)
        raise RulesError([Problem(**{**problem, "severity": Severity(problem["severity"])}) for problem in found])
    ended = f"loading it ended the trial process with code {child.returncode}"
    raise RulesError([Problem(sources.name, 0, 0, ended)])


def main(content: bytes) -> int:
    """The child: exit code 0 where the sources load, else 1 with the problems as JSON on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        load_sources(Sources.from_json(content)).close()
    except RulesError as error:
        sys.stdout.write(json.dumps([problem.to_json() for problem in error.problems]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer.read()))
