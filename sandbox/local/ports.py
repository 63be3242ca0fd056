"""TCP ports on the loopback address, for the parts of the local stack and for tests."""

import secrets
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below Linux's usual range for outgoing connections (32768 and up), so that no client takes a port
# between our look and the bind of the part that shall have it.
_LOWEST, _HIGHEST = 10240, 32767
_ATTEMPTS = 100


class PortTaken(Exception):
    """Somebody else listens on the TCP port that was asked for."""


def free_port() -> int:
    """Returns a TCP port of the loopback address on which nobody listens.

    Raises:
        PortTaken: a hundred random ports were all taken.
    """
    for _ in range(_ATTEMPTS):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        if is_free(port):
            return port
    raise PortTaken(f"no free TCP port between {_LOWEST} and {_HIGHEST} was found in {_ATTEMPTS} attempts")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tells whether a server could listen on `port` now; connections of an earlier one in TIME_WAIT do not matter."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
