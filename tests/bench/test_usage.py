"""What processes cost, whichever of them end meanwhile."""

import subprocess
import sys
import time
from itertools import pairwise

from bench.usage import cpu_seconds

# Children that burn some CPU and end, three at a time.
_PARENT = r"""
import subprocess, sys
BURN = "import time\nwhile time.process_time() < 0.05: pass"
print("ready", flush=True)
while True:
    children = [subprocess.Popen([sys.executable, "-S", "-c", BURN]) for _ in range(3)]
    for child in children:
        child.wait()
"""


def test_the_cpu_of_children_that_end_is_not_lost() -> None:
    """So the sum never falls."""
    with subprocess.Popen([sys.executable, "-S", "-c", _PARENT], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            parent.stdout.readline()
            seen, began = [0.0], time.monotonic()
            while (since := time.monotonic() - began) < 2 or ((len(seen) < 12 or seen[-1] < 0.2) and since < 60):
                seen.append(cpu_seconds({"all": [parent.pid]})["all"])
        finally:
            parent.kill()
    assert len(seen) > 10
    assert seen[-1] > 0.1
    a_tick = 0.01
    assert all(later > earlier - a_tick / 2 for earlier, later in pairwise(seen))
