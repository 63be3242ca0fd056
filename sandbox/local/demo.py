"""The demo merchant of a local stack, its keys, and `demo.env` that holds them. Used by `stack.LocalStack`."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from sandbox.local.credentials import write_private
from sandbox.local.loopback_http import ask


class DemoError(Exception):
    """The demo merchant could not be made; the text says what the gateway answered."""


@dataclass(frozen=True, slots=True, repr=False)
class Demo:
    """Keys that work against the running stack: the platform's, and those of one merchant in test mode."""

    platform_key: str
    merchant_id: str
    api_key: str


def ensure_demo(url: str, path: Path, issue_platform_key: Callable[[], str]) -> Demo:
    """Returns the keys of `demo.env` if the gateway still takes them, else new ones (with a new merchant).

    Args:
        url: of the gateway.
        path: of `demo.env`; it is only read here, since other lines of it are not known yet.
        issue_platform_key: makes a platform key and returns its secret.

    Raises:
        DemoError: the gateway refused.
        OSError: the gateway cannot be reached.
    """
    known = _read(path)
    demo = Demo(*(known.get(name, "") for name in ("KASSA_PLATFORM_KEY", "KASSA_MERCHANT_ID", "KASSA_API_KEY")))
    if demo.api_key and _accepted(f"{url}/v1/payments", demo.api_key):
        if _accepted(f"{url}/v1/merchants", demo.platform_key):
            return demo
        return Demo(issue_platform_key(), demo.merchant_id, demo.api_key)
    platform_key = issue_platform_key()
    merchant = {"name": "Demo shop", "test_mode": True, "country": "US", "default_currency": "USD"}
    merchant_id = _create(f"{url}/v1/merchants", merchant, platform_key)["id"]
    key = _create(f"{url}/v1/merchants/{merchant_id}/api_keys", {"name": "demo"}, platform_key)
    return Demo(platform_key, merchant_id, key["secret"])


def write_demo_env(  # noqa: PLR0913 - what the file holds
    path: Path, demo: Demo, *, url: str, grpc: str, sandbox_url: str, operator: Mapping[str, str]
) -> None:
    """Writes the file that a shell sources to talk to this stack; only its owner can read it.

    Args:
        operator: Variables that `kassa check-books` and other commands for operators need.
    """
    lines = {
        "KASSA_URL": url,
        "KASSA_GRPC": grpc,
        "KASSA_API_KEY": demo.api_key,
        "KASSA_PLATFORM_KEY": demo.platform_key,
        "KASSA_MERCHANT_ID": demo.merchant_id,
        "SANDBOX_URL": sandbox_url,
        **operator,
    }
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in lines.items()))


def first_payment(url: str, api_key: str) -> str:
    """Returns a shell command that makes a card payment; pasted again, it makes another one."""
    body = {
        "amount": 1999,
        "currency": "USD",
        "method": "CREDIT_CARD",
        "card": {
            "number": "4242424242424242",
            "exp_month": 12,
            "exp_year": datetime.now(UTC).year + 3,
            "cvc": "123",
            "holder": "Ada Byron",
        },
        "customer": {"id": "cus_42", "email": "ada@example.com"},
        "billing_address": {"country": "US"},
        "description": "Order 1001",
    }
    return (
        f"curl -i {url}/v1/payments -H 'authorization: Bearer {api_key}' \\\n"
        "  -H \"idempotency-key: order-$(date +%s)\" -H 'content-type: application/json' \\\n"
        f"  -d '{json.dumps(body)}'"
    )


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}


def _accepted(url: str, key: str) -> bool:
    status, _ = ask(f"{url}?page_size=1", bearer=key)
    return status == HTTPStatus.OK


def _create(url: str, body: dict[str, object], key: str) -> dict[str, str]:
    status, answer = ask(url, body=body, bearer=key)
    if status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise DemoError(f"POST {url} answered {status}: {answer}")
    return dict(answer)
