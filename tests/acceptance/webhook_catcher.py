"""Catches a processor's webhooks, signed as they are, so that a test can hand them on when and to whom it likes."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sandbox.local.ports import LOOPBACK
from tests.acceptance.shop import Json, wait_until


@dataclass(frozen=True)
class Caught:
    """A webhook: its headers by lower-case name, and the bytes that were signed."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Json:
        """What it says."""
        told: Json = json.loads(self.body)
        return told


@dataclass(frozen=True)
class Catcher:
    """Where they are sent: `url`."""

    url: str
    caught: list[Caught] = field(default_factory=list)

    def wait_for(self, kind: str, about: str) -> Caught:
        """Waits for the event of that type whose object names `about`."""

        def look() -> list[Caught]:
            of_kind = [one for one in list(self.caught) if one.event["event_type"] == kind]
            return [one for one in of_kind if about in one.event["resource"].values()]

        found: list[Caught] = wait_until(look, bool, 60.0)
        return found[0]


@contextmanager
def catching() -> Iterator[Catcher]:
    """Listens until it is left."""
    caught: list[Caught] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            caught.append(Caught({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        listening = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        listening.start()
        try:
            yield Catcher(f"http://{LOOPBACK}:{server.server_port}/", caught)
        finally:
            server.shutdown()
            listening.join()
