"""A real Envoy with the repository's configuration in front of a server that answers as asked."""

import http.client
import json
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.local.envoy import envoy_command, render_envoy_config
from sandbox.local.ports import free_port
from tests.edge.upstream import Call, Upstream

START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in the contract's shape, which is checked."""
        assert self.headers["content-type"] == "application/json"
        (error,) = self.json.values()
        assert set(self.json) == {"error"}
        assert set(error) == {"type", "code", "message", "param", "request_id"}
        assert error["request_id"] == self.headers["x-request-id"]
        return dict(error)


@dataclass(frozen=True, slots=True)
class Edge:
    """A running Envoy."""

    port: int
    access_log: Path
    own_log: Path

    def send(
        self,
        method: str,
        path: str,
        body: bytes | str | dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        reply: dict[str, Any] | None = None,
    ) -> Answer:
        """Sends one request on a connection of its own; `reply` says what the server answers."""
        if isinstance(body, dict):
            body = json.dumps(body)
        sent = dict(headers or {})
        if reply is not None:
            sent["x-reply"] = json.dumps(reply)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def logs(self, request_id: str) -> str:
        """Returns all that Envoy has logged, once the access log has the request."""
        wait_until(lambda: request_id in self.access_log.read_text())
        return self.access_log.read_text() + self.own_log.read_text()


@pytest.fixture(scope="session")
def start_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Edge]]:
    """Starts Envoys in front of servers on given ports, and ends them all."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*server_ports: int, **limits: int) -> Edge:
        folder = tmp_path_factory.mktemp("envoy")
        edge = Edge(port=free_port(), access_log=folder / "access.log", own_log=folder / "envoy.log")
        config = folder / "envoy.yaml"
        config.write_text(
            render_envoy_config(
                port=edge.port,
                admin_port=free_port(),
                servers=[("127.0.0.1", port) for port in server_ports],
                access_log=edge.access_log,
                **limits,
            )
        )
        with edge.own_log.open("wb") as log:
            running.append(subprocess.Popen(envoy_command(config), stdout=log, stderr=log))
        wait_until(lambda: healthy(edge), edge.own_log)
        return edge

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def edge(start_edge: Callable[..., Edge], upstream: Upstream) -> Edge:
    """The Envoy that most tests share."""
    return start_edge(upstream.port)


@pytest.fixture
def received(upstream: Upstream) -> Callable[[Answer], list[Call]]:
    """Finds what the server was sent of a request."""
    return lambda answer: [
        call for call in upstream.calls if call.metadata["x-request-id"] == answer.headers["x-request-id"]
    ]


@pytest.fixture(scope="session", autouse=True)
def enough_files() -> None:
    """A thousand calls at once need more than the usual 1,024 files; Envoy inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))


def healthy(edge: Edge) -> bool:
    try:
        return edge.send("GET", "/healthz").status == http.client.OK
    except OSError:
        return False


def wait_until(ready: Callable[[], bool], log: Path | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        assert time.monotonic() < deadline, log.read_text() if log is not None else "it took too long"
        time.sleep(0.02)
