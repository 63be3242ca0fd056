"""Other processes as these tests see them."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

PATIENCE_S = 120.0


def ends(pid: int) -> bool:
    """Waits for the end of a process, also of one that is not a child; tells whether it came."""
    try:
        psutil.Process(pid).wait(PATIENCE_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def start_script(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Starts Python code that prints lines to its parent."""
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)


def kill_hard(process: subprocess.Popen[str]) -> None:
    """SIGKILL, as the kernel's out-of-memory killer would send it."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
