"""Stripe's HTTP surface: who asks, under which key, what is answered; `sandbox.app` mounts it."""

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from sandbox.accounts import Account, Accounts, Processor
from sandbox.exchange import Delay, Exchange, Reply, respond
from sandbox.stripe import (
    balance,
    charges,
    disputes,
    events,
    lists,
    payment_intents,
    payment_methods,
    refunds,
    search,
    warnings,
)
from sandbox.stripe.context import API_VERSION, Call, Context, Json
from sandbox.stripe.errors import StripeError, server_error
from sandbox.stripe.idempotency import Idempotency
from sandbox.stripe.params import Params, nest

Handler = Callable[[Context, Call], Json]

_OPERATIONS: Final[tuple[tuple[str, str, str, Handler], ...]] = (
    ("POST", "/v1/payment_intents", "payment_intents.create", payment_intents.create),
    ("GET", "/v1/payment_intents", "payment_intents.list", lists.lister("payment_intents")),
    ("GET", "/v1/payment_intents/search", "payment_intents.search", search.search),
    ("GET", "/v1/payment_intents/{id}", "payment_intents.retrieve", payment_intents.retrieve),
    ("POST", "/v1/payment_intents/{id}/confirm", "payment_intents.confirm", payment_intents.confirm),
    ("POST", "/v1/payment_intents/{id}/capture", "payment_intents.capture", payment_intents.capture),
    ("POST", "/v1/payment_intents/{id}/cancel", "payment_intents.cancel", payment_intents.cancel),
    ("POST", "/v1/payment_methods", "payment_methods.create", payment_methods.create),
    ("GET", "/v1/payment_methods/{id}", "payment_methods.retrieve", payment_methods.retrieve),
    ("POST", "/v1/refunds", "refunds.create", refunds.create),
    ("GET", "/v1/refunds", "refunds.list", lists.lister("refunds")),
    ("GET", "/v1/refunds/{id}", "refunds.retrieve", refunds.retrieve),
    ("GET", "/v1/charges", "charges.list", lists.lister("charges")),
    ("GET", "/v1/charges/{id}", "charges.retrieve", charges.retrieve),
    ("GET", "/v1/disputes", "disputes.list", lists.lister("disputes")),
    ("GET", "/v1/disputes/{id}", "disputes.retrieve", disputes.retrieve),
    ("POST", "/v1/disputes/{id}", "disputes.update", disputes.update),
    ("POST", "/v1/disputes/{id}/close", "disputes.close", disputes.close),
    ("GET", "/v1/radar/early_fraud_warnings/{id}", "early_fraud_warnings.retrieve", warnings.retrieve),
    ("GET", "/v1/balance_transactions", "balance_transactions.list", lists.lister("balance_transactions")),
    ("GET", "/v1/balance_transactions/{id}", "balance_transactions.retrieve", balance.retrieve),
    ("GET", "/v1/events", "events.list", lists.lister("events")),
    ("GET", "/v1/events/{id}", "events.retrieve", events.retrieve),
)


class StripeRoutes:
    """Answers Stripe's requests."""

    def __init__(self, context: Context, exchange: Exchange, idempotency: Idempotency) -> None:
        self._context = context
        self._exchange = exchange
        self._idempotency = idempotency

    def routes(self) -> list[web.RouteDef]:
        """All operations, and Stripe's own 404 for the rest of /v1."""
        table = [web.route(method, path, self._handler(name, act)) for method, path, name, act in _OPERATIONS]
        return [*table, web.route("*", "/v1/{rest:.*}", self._unknown)]

    def _handler(self, name: str, act: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = f"req_{secrets.token_hex(7)}"
            try:
                account = authenticate(self._context.accounts, request)
                call = Call(account, await _params(request), request.match_info)
            except StripeError as error:
                return respond(_error(error, request_id))

            async def run(delay: Delay) -> Reply:
                return await self._run(request, call, act, delay, request_id)

            operation = (f"stripe.{name}", account.id)
            return await self._exchange.answer(
                request, operation, run, lambda status: _error(server_error(status), request_id)
            )

        return handle

    async def _run(  # a request and what is to be done with it
        self, request: web.Request, call: Call, act: Handler, delay: Delay, request_id: str
    ) -> Reply:
        async def once() -> tuple[Reply, bool]:
            await delay()
            try:
                body = lists.expand(self._context, call, act(self._context, call))
            except StripeError as error:
                return _error(error, request_id), error.begun
            return Reply.json(200, body, _headers(request_id)), True

        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key:
            return (await once())[0]
        try:
            reply = await self._idempotency.once(
                call.account.id, key, request.path, dict(call.params.values), request_id, once
            )
        except StripeError as error:
            reply = _error(error, request_id)
        return Reply(reply.status, reply.body, {"Idempotency-Key": key, **_headers(request_id), **reply.headers})

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        message = f"Unrecognized request URL ({request.method}: {request.path})."
        error = StripeError(404, "invalid_request_error", message)
        return respond(_error(error, f"req_{secrets.token_hex(7)}"))


def authenticate(accounts: Accounts, request: web.Request) -> Account:
    """Whose request this is: the API key's account, or the connected one that `Stripe-Account` names.

    Raises:
        StripeError: 401 for the key, 403 for the connected account.
    """
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    key = credential.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(credential).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise StripeError(401, "invalid_request_error", "You did not provide an API key.", begun=False)
    account = accounts.by_key(Processor.STRIPE, key)
    if account is None:
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * len(key)  # as Stripe masks
        raise StripeError(401, "invalid_request_error", f"Invalid API Key provided: {shown}", begun=False)
    connected = request.headers.get("Stripe-Account", account.id)
    named = accounts.get(connected)
    if named is None or account.id not in (named.id, named.platform):
        message = (
            f"The provided key '{key[:8]}***' does not have access to account '{connected}' (or that account does not"
            " exist). Application access may have been revoked."
        )
        raise StripeError(403, "invalid_request_error", message, begun=False, code="account_invalid")
    return named


async def _params(request: web.Request) -> Params:
    if request.method == "GET":
        return Params(nest(request.query.items()))
    try:
        body = (await request.read()).decode()
    except UnicodeDecodeError:
        raise StripeError(400, "invalid_request_error", "Invalid request: not UTF-8.", begun=False) from None
    return Params(nest(parse_qsl(body, keep_blank_values=True)))


def _error(error: StripeError, request_id: str) -> Reply:
    error.error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
    return Reply(error.status, orjson.dumps({"error": error.error}), _headers(request_id))


def _headers(request_id: str) -> dict[str, str]:
    return {"Request-Id": request_id, "Stripe-Version": API_VERSION}
