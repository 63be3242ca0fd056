"""Access tokens of PayPal's API. They live in memory: after a restart clients have to fetch new ones.

https://developer.paypal.com/api/rest/authentication/
"""

import base64
import binascii
import hmac
import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from sandbox.accounts import Account, Accounts, Processor
from sandbox.exchange import Delay, Exchange, Reply
from sandbox.paypal.errors import PayPalError

_SCOPE = "https://uri.paypal.com/services/payments/payment https://uri.paypal.com/services/payments/refund"


@dataclass(frozen=True, slots=True)
class _Token:
    account: str
    expires: float


class OAuth:
    """Issues tokens and knows whose they are.

    Args:
        lifetime_s: Seconds that a token lives.
    """

    def __init__(self, accounts: Accounts, exchange: Exchange, lifetime_s: int) -> None:
        self._accounts = accounts
        self._exchange = exchange
        self._lifetime_s = lifetime_s
        self._tokens: dict[str, _Token] = {}

    def routes(self) -> list[web.RouteDef]:
        """The token endpoint."""
        return [web.post("/v1/oauth2/token", self._issue)]

    def account(self, request: web.Request) -> Account | None:
        """Whose request this is; None: the token is missing, unknown or over."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.get(value.strip()) if scheme.lower() == "bearer" else None
        if token is None or token.expires <= time.monotonic():
            return None
        return self._accounts.get(token.account)

    async def _issue(self, request: web.Request) -> web.StreamResponse:
        account = self._client(request)
        grant = (await request.post()).get("grant_type")

        async def act(delay: Delay) -> Reply:
            await delay()
            if account is None:
                return _refuse(401, "invalid_client", "Client Authentication failed")
            if grant != "client_credentials":
                return _refuse(400, "unsupported_grant_type", "Grant Type is NULL or not supported")
            return self._grant(account)

        operation = ("paypal.oauth.token", account.id if account else "")
        return await self._exchange.answer(
            request, operation, act, lambda status: Reply.json(status, PayPalError("", status=status).body())
        )

    def _grant(self, account: Account) -> Reply:
        token = f"A21AA{secrets.token_urlsafe(48)}"
        self._tokens[token] = _Token(account.id, time.monotonic() + self._lifetime_s)
        body = {
            "scope": _SCOPE,
            "access_token": token,
            "token_type": "Bearer",
            "app_id": "APP-80W284485P519543T",
            "expires_in": self._lifetime_s,
            "nonce": secrets.token_urlsafe(24),
        }
        return Reply.json(200, body)

    def _client(self, request: web.Request) -> Account | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        try:
            client, _, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        account = self._accounts.by_key(Processor.PAYPAL, client) if scheme.lower() == "basic" else None
        return account if account and hmac.compare_digest(account.secret.encode(), secret.encode()) else None


def _refuse(status: int, error: str, description: str) -> Reply:
    return Reply.json(status, {"error": error, "error_description": description})
