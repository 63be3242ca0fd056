"""`paypalrestsdk.Api` as a transport for PayPal's current API, its faults shut out. Blocking; `connection` calls it.

The SDK never gives up waiting, opens a connection for each call, follows redirects, asks for ever after a 401, shares
its token unsafely between threads, hands HTTP 400 back like an answer, and logs secrets.
"""

import json
import re
import threading
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import paypalrestsdk
import requests
from paypalrestsdk import exceptions
from requests.adapters import HTTPAdapter

Json = dict[str, Any]

_TOKEN_MARGIN_S = 60.0
"""A token is renewed so long before it ends."""
_PATH = re.compile(r"[A-Za-z0-9_\-/]+")


@dataclass(frozen=True, slots=True)
class Form:
    """A body that is sent as `multipart/form-data` with one part of JSON, `input`, beside which documents might be."""

    input: Json


class TokenFailed(Exception):
    """No access token could be had, so the call itself was never sent.

    Args:
        error: Why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(f"no access token: {type(error).__name__}")
        self.error = error


class Answer(dict[str, Any]):
    """An answer's JSON, with its HTTP status and PayPal's id of the call, which the SDK throws away."""

    def __init__(self, found: Json, status: int, debug_id: str) -> None:
        super().__init__(found)
        self.status, self.debug_id = status, debug_id


class Api(paypalrestsdk.Api):  # type: ignore[misc]  # the SDK has no types
    """One account's transport; may be used by many threads.

    Args:
        base: Scheme, host and port.
        timeout_s: Seconds for connecting, and for each wait for bytes.
        connections: How many are kept open.
    """

    def __init__(
        self, base: str, client_id: str, client_secret: str, timeout_s: tuple[float, float], connections: int
    ) -> None:
        # "live" is the mode in which the SDK logs no bodies; which PayPal it is, the base says.
        super().__init__(mode="live", endpoint=base.rstrip("/"), client_id=client_id, client_secret=client_secret)
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # A .netrc would replace our Authorization header.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._token_lock = threading.Lock()
        self._token: Json | None = None
        self._token_ends = 0.0

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def request(
        self, url: str, method: str, body: Any = None, headers: Any = None, refresh_token: Any = None
    ) -> Answer:
        """Makes one call, and repeats it once with a new token after a 401.

        Raises:
            TokenFailed: Nothing was sent.
            exceptions.ConnectionError, requests.RequestException, ValueError: Of the call itself.
        """
        assert refresh_token is None, "only our own account's tokens are used"
        for last in (False, True):
            token = self.get_token_hash()
            sent = {
                **(headers or {}),
                "Authorization": f"Bearer {token['access_token']}",
                "Accept": "application/json",
                "User-Agent": self.user_agent,
            }
            try:
                return self._send(url, method, body, sent)
            except exceptions.UnauthorizedAccess:
                if last:
                    raise
                self._forget(token)
        raise AssertionError("the second attempt returns or raises")

    def get_token_hash(self, authorization_code: Any = None, refresh_token: Any = None, headers: Any = None) -> Json:
        """Returns the access token, fetched by one thread at a time; callers' headers do not reach that call.

        Raises:
            TokenFailed: There is none.
        """
        assert authorization_code is None and refresh_token is None, "only client credentials are used"
        with self._token_lock:
            if self._token is None or time.monotonic() >= self._token_ends:
                self._token, self._token_ends = self._fetch_token()
            return self._token

    def http_call(self, url: str, method: str, **kwargs: Any) -> Answer:
        """Sends one request on a kept connection.

        Raises:
            exceptions.ConnectionError, requests.RequestException: By status, or for want of an answer.
            ValueError: The answer is not JSON.
        """
        if method == "GET":
            kwargs.pop("data", None)  # The SDK would send `null`.
        response = self._session.request(method, url, timeout=self._timeout_s, allow_redirects=False, **kwargs)
        found = self.handle_response(response, response.content.decode("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("the answer is no JSON object")
        return Answer(found, response.status_code, debug_id(response))

    def _send(self, url: str, method: str, body: Any, headers: dict[str, str]) -> Answer:
        if isinstance(body, Form):
            part = (None, json.dumps(body.input), "application/json")
            return self.http_call(url, method, files={"input": part}, headers=headers)
        typed = {**headers, "Content-Type": "application/json"}
        return self.http_call(url, method, data=json.dumps(body), headers=typed)

    def _fetch_token(self) -> tuple[Json, float]:
        headers = {
            "Authorization": f"Basic {self.basic_auth()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "User-Agent": self.user_agent,
        }
        asked_at = time.monotonic()
        try:
            token = self.http_call(
                f"{self.endpoint}/v1/oauth2/token", "POST", data="grant_type=client_credentials", headers=headers
            )
            return {"access_token": str(token["access_token"])}, asked_at + int(token["expires_in"]) - _TOKEN_MARGIN_S
        except (exceptions.ConnectionError, requests.RequestException, KeyError, TypeError, ValueError) as error:
            failed = TokenFailed(error)
        # Outside of the handler: the request in its traceback holds the secret.
        raise failed

    def _forget(self, token: Json) -> None:
        """Drops a token that was refused, unless another thread has renewed it meanwhile."""
        with self._token_lock:
            if self._token is token:
                self._token = None


def debug_id(response: requests.Response) -> str:
    """Returns PayPal's id of the call, which its support asks for; empty where it gave none.

    https://developer.paypal.com/api/rest/requests/
    """
    return str(response.headers.get("Paypal-Debug-Id") or "")


def check_path(path: str) -> str:
    """Returns a path that holds nothing but plain ids: the SDK puts it through a regular expression.

    Raises:
        ValueError: It holds something else.
    """
    if not _PATH.fullmatch(path):
        raise ValueError("an id holds a character that no id of PayPal has")
    return path
