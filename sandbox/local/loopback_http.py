"""HTTP to the stack's own parts, by the standard library and past any proxy. Used by readiness checks and the demo."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

_OPENER = build_opener(ProxyHandler({}))


def ask(
    url: str,
    *,
    body: Mapping[str, object] | None = None,
    bearer: str = "",
    timeout: float = 10.0,
    method: str | None = None,
) -> tuple[int, Any]:
    """Sends GET, or POST where there is a body, and returns the status and the parsed JSON (None where there is none).

    Args:
        url: with its scheme.
        body: sent as JSON.
        bearer: the secret of an API key.
        timeout: seconds that the connection may stay silent.
        method: another HTTP method than GET and POST.

    Raises:
        OSError: nobody answered.
    """
    headers = {"content-type": "application/json"} if body is not None else {}
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with _OPENER.open(Request(url, data=data, headers=headers, method=method), timeout=timeout) as answer:
            return answer.status, _parse(answer.read())
    except HTTPError as refusal:
        with refusal:
            return refusal.code, _parse(refusal.read())


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
