"""PayPal's HTTP surface: who asks, under which request id, what is answered; `sandbox.app` mounts it."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson
from aiohttp import web

from sandbox.exchange import Delay, Exchange, Reply, respond
from sandbox.paypal import dispute_objects, disputes, forms, notifications, objects, orders, payments
from sandbox.paypal.context import Call, Context, Json
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.oauth import OAuth
from sandbox.paypal.request_ids import RequestIds
from sandbox.paypal.signing import Signer


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on a resource.

    Attributes:
        act: Does it and returns the record.
        read: Finds the record again by its id, for a repeat of the same request.
        render: Turns the record into JSON.
        status: Of the first answer.
        repeated: Of the answer to the same request again.
        terse: Without `Prefer: return=representation` the answer is minimal.
        form: The body is `multipart/form-data`, its part `input` holds the JSON.
    """

    name: str
    act: Callable[[Context, Call], Any]
    render: Callable[[Context, Any], Json]
    read: Callable[[Context, str, str], Any] | None = None
    status: int = 200
    repeated: int = 200
    terse: bool = False
    form: bool = False


def _as_it_is(_context: Context, body: Json) -> Json:
    return body


_ORDER: Final = (objects.order, Context.order)
_CAPTURE: Final = (objects.capture, Context.capture)
_REFUND: Final = (objects.refund, Context.refund)
_ACTION: Final = (dispute_objects.subsequent_action, Context.dispute)
_ORDERS, _PAYMENTS, _DISPUTES = "/v2/checkout/orders", "/v2/payments", "/v1/customer/disputes"
_OPERATIONS: Final[tuple[tuple[str, str, Operation], ...]] = (
    ("POST", _ORDERS, Operation("orders.create", orders.create, *_ORDER, status=201, terse=True)),
    ("GET", f"{_ORDERS}/{{id}}", Operation("orders.get", orders.retrieve, objects.order)),
    ("POST", f"{_ORDERS}/{{id}}/capture", Operation("orders.capture", orders.capture, *_ORDER, status=201)),
    ("POST", f"{_ORDERS}/{{id}}/authorize", Operation("orders.authorize", orders.authorize, *_ORDER, status=201)),
    (
        "GET",
        f"{_PAYMENTS}/authorizations/{{id}}",
        Operation("authorizations.get", payments.get_authorization, objects.authorization),
    ),
    (
        "POST",
        f"{_PAYMENTS}/authorizations/{{id}}/capture",
        Operation(
            "authorizations.capture", payments.capture_authorization, *_CAPTURE, status=201, repeated=201, terse=True
        ),
    ),
    ("GET", f"{_PAYMENTS}/captures/{{id}}", Operation("captures.get", payments.get_capture, objects.capture)),
    (
        "POST",
        f"{_PAYMENTS}/captures/{{id}}/refund",
        Operation("captures.refund", payments.refund_capture, *_REFUND, status=201, repeated=201, terse=True),
    ),
    ("GET", f"{_PAYMENTS}/refunds/{{id}}", Operation("refunds.get", payments.get_refund, objects.refund)),
    ("GET", _DISPUTES, Operation("disputes.list", disputes.listing, _as_it_is)),
    ("GET", f"{_DISPUTES}/{{id}}", Operation("disputes.get", disputes.retrieve, dispute_objects.dispute)),
    (
        "POST",
        f"{_DISPUTES}/{{id}}/accept-claim",
        Operation("disputes.accept_claim", disputes.accept_claim, *_ACTION),
    ),
    (
        "POST",
        f"{_DISPUTES}/{{id}}/provide-evidence",
        Operation("disputes.provide_evidence", disputes.provide_evidence, *_ACTION, form=True),
    ),
)
_VOID: Final = Operation("authorizations.void", payments.void_authorization, objects.authorization)


class PayPalRoutes:
    """Answers PayPal's requests."""

    def __init__(  # noqa: PLR0913, PLR0917  # what an answer takes
        self, context: Context, exchange: Exchange, oauth: OAuth, request_ids: RequestIds, signer: Signer, anchor: bytes
    ) -> None:
        self._context = context
        self._exchange = exchange
        self._oauth = oauth
        self._request_ids = request_ids
        self._signer = signer
        self._anchor = anchor

    def routes(self) -> list[web.RouteDef]:
        """All operations, and the certificates that webhooks are verified with."""
        table = [
            web.route(method, path, self._handler(operation, self._run)) for method, path, operation in _OPERATIONS
        ]
        void = f"{_PAYMENTS}/authorizations/{{id}}/void"
        return [
            *table,
            web.post(void, self._handler(_VOID, self._void)),
            *self._notifications(),
            web.get("/v1/notifications/certs/{id}", self._certificate),
            web.get("/paypal/ca.pem", self._trust_anchor),
        ]

    def _notifications(self) -> list[web.RouteDef]:
        base = "/v1/notifications"

        def route(method: str, path: str, act: Callable[[Context, Call], Json], status: int = 200) -> web.RouteDef:
            operation = Operation(f"notifications.{getattr(act, '__name__', 'verify')}", act, _as_it_is, status=status)
            return web.route(method, base + path, self._handler(operation, self._run))

        def verify(_context: Context, call: Call) -> Json:
            return notifications.verify_signature(self._signer, call)

        return [
            route("POST", "/webhooks", notifications.create_webhook, 201),
            route("GET", "/webhooks", notifications.list_webhooks),
            route("GET", "/webhooks/{id}", notifications.get_webhook),
            route("DELETE", "/webhooks/{id}", notifications.delete_webhook, 204),
            route("GET", "/webhooks-events", notifications.list_events),
            route("GET", "/webhooks-events/{id}", notifications.get_event),
            route("POST", "/webhooks-events/{id}/resend", notifications.resend_event, 202),
            route("POST", "/verify-webhook-signature", verify),
        ]

    def _handler(
        self, operation: Operation, run: Callable[[Operation, Call, str, Delay], Awaitable[Reply]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            account = self._oauth.account(request)
            if account is None:
                body = {"error": "invalid_token", "error_description": "Token signature verification failed"}
                return respond(Reply.json(401, body))
            request_id = request.headers.get("PayPal-Request-Id", "")

            async def act(delay: Delay) -> Reply:
                try:
                    prefers = "return=representation" in request.headers.get("Prefer", "")
                    body = await _body(request, form=operation.form)
                    call = Call(account, body, request.match_info, request.query, prefers, bool(request_id))
                    _mock(request)
                    return await run(operation, call, request_id, delay)
                except PayPalError as error:
                    return _error(error, operation.name)

            names = (f"paypal.{operation.name}", account.id)
            fail = partial(_fail, operation.name)
            return await self._exchange.answer(request, names, act, fail)

        return handle

    async def _run(self, operation: Operation, call: Call, request_id: str, delay: Delay) -> Reply:
        if not request_id or operation.read is None:
            await delay()
            return _answer(self._context, operation, call, operation.act(self._context, call), operation.status)
        known = self._request_ids.known(call.account.id, operation.name, request_id)
        if known:
            await delay()
            record = operation.read(self._context, call.account.id, known)
            return _answer(self._context, operation, call, record, operation.repeated)
        made: list[Any] = []

        async def act() -> str:
            await delay()
            made.append(operation.act(self._context, call))
            return str(made[0].id)

        await self._request_ids.run(call.account.id, operation.name, request_id, act)
        return _answer(self._context, operation, call, made[0], operation.status)

    async def _void(self, operation: Operation, call: Call, _request_id: str, delay: Delay) -> Reply:
        await delay()
        record = operation.act(self._context, call)
        if not call.representation:
            return Reply(204, b"", _headers())
        return Reply.json(200, operation.render(self._context, record), _headers())

    async def _certificate(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != self._signer.certificate_id:
            return web.Response(status=404)
        return web.Response(body=self._signer.chain_pem, content_type="application/x-pem-file")

    async def _trust_anchor(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._anchor, content_type="application/x-pem-file")


def _answer(context: Context, operation: Operation, call: Call, record: Any, status: int) -> Reply:
    if status == 204:
        return Reply(204, b"", _headers())
    body = operation.render(context, record)
    if operation.terse and not call.representation:
        body = objects.minimal(body)
    return Reply.json(status, body, _headers())


async def _body(request: web.Request, *, form: bool) -> Json:
    raw = await request.read()
    if request.method == "GET" or not raw.strip():
        return {}
    if request.content_type != ("multipart/form-data" if form else "application/json"):
        raise PayPalError("", status=415)
    if form:
        raw = forms.json_part(request.headers["Content-Type"], raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise PayPalError("MALFORMED_REQUEST_JSON") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise PayPalError("MALFORMED_REQUEST_JSON")
    return body


def _mock(request: web.Request) -> None:
    """PayPal's negative testing: https://developer.paypal.com/tools/sandbox/negative-testing/request-headers/."""
    wish = request.headers.get("PayPal-Mock-Response")
    if not wish:
        return
    try:
        issue = orjson.loads(wish)["mock_application_codes"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise PayPalError("INVALID_PARAMETER_SYNTAX") from None
    raise PayPalError(str(issue))


def _error(error: PayPalError, operation: str) -> Reply:
    return Reply.json(error.status, error.body(operation), _headers())


def _fail(operation: str, status: int) -> Reply:
    return _error(PayPalError("", status=status), operation)


def _headers() -> dict[str, str]:
    return {"PayPal-Debug-Id": secrets.token_hex(7)[:13]}
