"""TCP ports on the loopback address, for the parts of the local stack and for tests."""

import fcntl
import os
import secrets
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below Linux's usual range for outgoing connections (32768 and up), so that no client takes a port
# between our look and the bind of the part that shall have it.
_LOWEST, _HIGHEST = 10240, 32767
_ATTEMPTS = 100
_CLAIMING = threading.Lock()
_claimed: set[int] = set()


class PortTaken(Exception):
    """Somebody else listens on the TCP port that was asked for."""


def free_port() -> int:
    """Returns a TCP port of the loopback address on which nobody listens, and that nobody else is given.

    A stack asks for all of its ports before its parts bind them, and stacks start beside each other: so a port stays
    with the process that asked, for as long as that lives, among all processes of its user.

    Raises:
        PortTaken: a hundred random ports were all taken.
    """
    for _ in range(_ATTEMPTS):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        if _is_ours_alone(port) and is_free(port):
            return port
    raise PortTaken(f"no free TCP port between {_LOWEST} and {_HIGHEST} was found in {_ATTEMPTS} attempts")


def _is_ours_alone(port: int) -> bool:
    """Claims a port; False where it was claimed before, by ourselves or by another process."""
    with _CLAIMING:
        if port in _claimed:
            return False
        claims = _claims()
        try:
            fcntl.lockf(claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except (BlockingIOError, PermissionError):  # either may say that another process has locked that byte
            return False
        _claimed.add(port)
        return True


@cache
def _claims() -> int:
    """A file whose bytes stand for ports: the kernel lets go of what a process has locked there when that ends."""
    path = Path(tempfile.gettempdir()) / f"kassa-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tells whether a server could listen on `port` now; connections of an earlier one in TIME_WAIT do not matter."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
