"""A short run of the simulator itself: real processes, faults of all kinds, and the verdict that all is true."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("simulator")

REPOSITORY = Path(__file__).parents[2]


def test_a_seed_of_faults_leaves_nothing_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.simulator", "--seed", "4", "--payments", "300", "--apart", "40", "--json"]
    done = subprocess.run(
        [*command, "--home", str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["payments"], summary["failed"]) == (300, [])
    assert sum(summary["faults"].values()) > 50
