"""Runs the real sandbox as a process of its own, and speaks to its admin side; fixtures of this folder use it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox."""

    url: str
    ca_file: Path

    def fault(self, account: str, kind: str, operation: str, **rule: Any) -> None:
        """Puts a fault in force for one account; it strikes once unless told otherwise."""
        body = {"kind": kind, "operation": operation, "account": account, "times": 1, **rule}
        self._post("/sandbox/faults", body)

    def register(self, **account: str) -> Json:
        """Registers an account of its own, so that tests keep apart."""
        return self._post("/sandbox/accounts", account)

    def payments(self, account: str) -> list[Json]:
        """What the processor's books say of an account's payments."""
        (found,) = requests.get(f"{self.url}/books", params={"account": account}, timeout=30).json()["accounts"]
        payments: list[Json] = found["payments"]
        return payments

    def command(self, path: str, **body: Any) -> Json:
        """Does what a person would do in the processor's dashboard."""
        return self._post(path, body)

    @staticmethod
    def decide(page: str, choice: str) -> None:
        """Presses a button of a customer's page."""
        answer = requests.post(page, data={"choice": choice}, timeout=30, allow_redirects=False)
        assert answer.status_code == 303, answer.text

    def _post(self, path: str, body: Json) -> Json:
        answer = requests.post(f"{self.url}{path}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


@contextmanager
def running(folder: Path, later_s: float = 0.2) -> Iterator[Sandbox]:
    """Starts a sandbox on a free port, where late things come after `later_s`, and stops it at the end."""
    ca_file = folder / "paypal-ca.pem"
    command = [sys.executable, "-m", "sandbox.serve", "--port", "0", "--paypal-ca-file", str(ca_file)]
    command += ["--later-s", str(later_s), "--retry-s", "0.05"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"the sandbox did not start: {line!r}"
            # It listens before it serves, so this waits until it does.
            assert requests.get(f"{found.group()}/healthz", timeout=10).json()["status"] == "ok"
            yield Sandbox(found.group(), ca_file)
        finally:
            process.terminate()
            process.wait(10)
