import json
import shlex
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from sandbox.local.demo import Demo, DemoError, ensure_demo, first_payment, write_demo_env


class Gateway(BaseHTTPRequestHandler):
    """Takes the keys in `keys`, makes merchants and keys; remembers what was posted."""

    keys: ClassVar[set[str]]
    posted: ClassVar[list[tuple[str, object]]]

    def do_GET(self) -> None:
        self.answer(200 if self.key in self.keys else 401, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.posted.append((self.path, body))
        if self.key not in self.keys:
            self.answer(401, {"error": {"code": "API_KEY_INVALID"}})
        elif self.path == "/v1/merchants":
            self.answer(201, {"id": "mer_1"})
        else:
            self.answer(201, {"id": "key_1", "secret": "sk_test_new"})

    @property
    def key(self) -> str:
        return self.headers["authorization"].removeprefix("Bearer ")

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    Gateway.keys, Gateway.posted = {"platform-new"}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def write(path: Path, demo: Demo) -> None:
    operator = {"KASSA_DATABASE_URL": "postgresql+psycopg2://d"}
    write_demo_env(path, demo, url="http://a", grpc="b", sandbox_url="http://c", operator=operator)


def test_a_first_start_makes_a_merchant_in_test_mode(gateway: str, tmp_path: Path) -> None:
    demo = ensure_demo(gateway, tmp_path / "demo.env", lambda: "platform-new")
    assert demo == Demo("platform-new", "mer_1", "sk_test_new")
    (path, merchant), (keys, _) = Gateway.posted
    assert (path, keys) == ("/v1/merchants", "/v1/merchants/mer_1/api_keys")
    assert isinstance(merchant, dict)
    assert merchant["test_mode"] is True


def test_keys_that_still_work_are_kept(gateway: str, tmp_path: Path) -> None:
    Gateway.keys = {"platform-old", "sk_test_old"}
    old = Demo("platform-old", "mer_0", "sk_test_old")
    write(tmp_path / "demo.env", old)
    assert ensure_demo(gateway, tmp_path / "demo.env", lambda: pytest.fail("a key was issued")) == old
    assert Gateway.posted == []


def test_keys_of_a_database_that_is_gone_are_replaced(gateway: str, tmp_path: Path) -> None:
    write(tmp_path / "demo.env", Demo("platform-old", "mer_0", "sk_test_old"))
    assert ensure_demo(gateway, tmp_path / "demo.env", lambda: "platform-new").api_key == "sk_test_new"


def test_a_lost_platform_key_does_not_cost_the_merchant(gateway: str, tmp_path: Path) -> None:
    Gateway.keys = {"sk_test_old"}
    write(tmp_path / "demo.env", Demo("platform-old", "mer_0", "sk_test_old"))
    demo = ensure_demo(gateway, tmp_path / "demo.env", lambda: "platform-new")
    assert demo == Demo("platform-new", "mer_0", "sk_test_old")


def test_a_refusal_is_told(gateway: str, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"401.*API_KEY_INVALID"):
        ensure_demo(gateway, tmp_path / "demo.env", lambda: "unknown")


def test_the_file_is_for_its_owner_alone_and_for_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "demo.env"
    write(path, Demo("plat", "mer", "sk test'"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert {"KASSA_URL", "KASSA_GRPC", "KASSA_API_KEY", "KASSA_PLATFORM_KEY", "SANDBOX_URL"} <= set(lines)
    assert lines["KASSA_DATABASE_URL"] == "postgresql+psycopg2://d"
    assert shlex.split(lines["KASSA_API_KEY"]) == ["sk test'"]


def test_the_printed_command_is_one_that_a_shell_can_read() -> None:
    command = shlex.split(first_payment("http://127.0.0.1:1", "sk_test_1"))
    assert command[:3] == ["curl", "-i", "http://127.0.0.1:1/v1/payments"]
    assert json.loads(command[command.index("-d") + 1])["amount"] == 1999
