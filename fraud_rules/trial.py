"""Loads a rule file in a child process first, so that a file that kills or hangs the engine kills or hangs only that.

`RulesetHolder` takes `try_in_child` as its `trial`; `python -m fraud_rules.trial` is the child.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.loading import load_ruleset

_SECONDS = 20
_MEMORY = 1 << 30


def try_in_child(path: Path, lists: Path | None = None, rates: Path | None = None) -> None:
    """Loads the file in a child process with 20 seconds and 1 GB; takes about half a second.

    Raises:
        RulesError: With the child's own problems, or one that says how the child died.
    """
    arguments = json.dumps([str(path), *(str(extra) if extra else None for extra in (lists, rates))])
    command = [sys.executable, "-m", "fraud_rules.trial", arguments]
    try:
        child = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise RulesError([Problem(str(path), 0, 0, f"loading took more than {_SECONDS} seconds")]) from error
    if child.returncode == 0:
        return
    if child.returncode == 1 and child.stdout:
        found = json.loads(child.stdout)
        raise RulesError([Problem(**{**problem, "severity": Severity(problem["severity"])}) for problem in found])
    raise RulesError([Problem(str(path), 0, 0, f"loading it ended the trial process with code {child.returncode}")])


def main(arguments: str) -> int:
    """The child: exit code 0 where the file loads, else 1 with the problems as JSON on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    path, lists, rates = (Path(value) if value else None for value in json.loads(arguments))
    assert path is not None
    try:
        load_ruleset(path, lists=lists, rates=rates).close()
    except RulesError as error:
        fields = ("file", "line", "column", "message", "hint", "severity")
        sys.stdout.write(json.dumps([{name: getattr(problem, name) for name in fields} for problem in error.problems]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
