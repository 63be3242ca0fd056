"""Ports that parts of a stack are given: each by one stack alone, whichever process starts it."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.local import ports
from sandbox.local.ports import LOOPBACK, PortTaken, free_port

ASK = "import sys; from sandbox.local.ports import free_port; print(free_port(), flush=True); sys.stdin.read()"


def only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves one port to choose from."""
    monkeypatch.setattr(ports, "_LOWEST", port)
    monkeypatch.setattr(ports, "_HIGHEST", port)


def test_a_free_port_is_below_the_range_of_outgoing_connections() -> None:
    found = {free_port() for _ in range(20)}
    assert len(found) == 20
    assert all(1024 < port < 32768 for port in found)


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    only(free_port(), monkeypatch)
    with pytest.raises(PortTaken):
        free_port()


def test_threads_are_given_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of so few that they would often meet."""
    monkeypatch.setattr(ports, "_HIGHEST", ports._LOWEST + 400)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: free_port(), range(100)))
    assert len(set(found)) == 100


def test_a_port_stays_with_the_process_that_asked_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there yet: a port is chosen before its part is started."""
    asked = subprocess.Popen([sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with asked:
        assert asked.stdout is not None
        port = int(asked.stdout.readline())
        only(port, monkeypatch)
        with pytest.raises(PortTaken):
            free_port()
    assert free_port() == port


def test_a_port_on_which_somebody_listens_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        only(listening.getsockname()[1], monkeypatch)
        with pytest.raises(PortTaken):
            free_port()
