"""Becomes another program that dies with its parent: drops root, asks the kernel for a signal, then execs.

`child.Child` runs this file as a script, `launch.py UID GID SIGNAL PARENT -- PROGRAM ARGUMENT…`; the process id stays.
A UID below zero keeps the user. It is run without site-packages, so it imports the standard library alone.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html


def end_with_parent(death_signal: int) -> None:
    """Lets the kernel send this process `death_signal` when the thread that started it ends.

    Raises:
        OSError: the kernel refused.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def main(arguments: list[str]) -> None:
    """Turns into the program named after `--`; exits with 1 when the parent has died meanwhile."""
    split = arguments.index("--")
    uid, gid, death_signal, parent = (int(argument) for argument in arguments[:split])
    program = arguments[split + 1 :]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    end_with_parent(death_signal)  # after setuid, which would undo it
    if os.getppid() != parent:
        sys.exit(1)
    # Ctrl-C is for whoever supervises; it stops the children in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
