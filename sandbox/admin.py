"""What a real processor does not offer: faults, accounts, the processors' dashboards on command, the books, health."""

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import Field, ValidationError

from sandbox.accounts import Account, Accounts, Endpoint, Processor
from sandbox.books import BooksReport
from sandbox.commands import Act, Body
from sandbox.exchange import Json, Reply, respond
from sandbox.faults import Faults, Rule
from sandbox.paypal.context import Context as PayPalContext
from sandbox.paypal.dashboard import Dashboard as PayPalDashboard
from sandbox.paypal.errors import PayPalError
from sandbox.store import Store
from sandbox.stripe.context import Context as StripeContext
from sandbox.stripe.dashboard import Dashboard as StripeDashboard
from sandbox.stripe.errors import StripeError
from sandbox.webhooks import Webhooks


class NewAccount(Body):
    """An account to register. What is left out is made up and answered."""

    processor: Processor
    id: str = ""
    api_key: str = ""
    client_id: str = ""
    client_secret: str = ""
    platform: str = ""
    webhook_url: str = ""
    webhook_secret: str = ""
    webhook_id: str = ""
    events: list[str] = Field(default=["*"])


class Admin:
    """The routes under /sandbox, /books and /healthz."""

    def __init__(  # noqa: PLR0913, PLR0917  # it commands everything
        self,
        store: Store,
        accounts: Accounts,
        faults: Faults,
        webhooks: Webhooks,
        stripe: StripeContext,
        paypal: PayPalContext,
        books: BooksReport,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._faults = faults
        self._webhooks = webhooks
        self._stripe = StripeDashboard(stripe)
        self._paypal = PayPalDashboard(paypal)
        self._books = books

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/healthz", self._answering(self._health)),
            web.get("/books", self._answering(self._report)),
            web.post("/sandbox/faults", self._answering(self._add_fault)),
            web.get("/sandbox/faults", self._answering(self._list_faults)),
            web.delete("/sandbox/faults", self._answering(self._clear_faults)),
            web.post("/sandbox/accounts", self._answering(self._register)),
            web.delete("/sandbox/accounts/{id}", self._answering(self._forget)),
            web.get("/sandbox/webhooks", self._answering(self._list_webhooks)),
            *self._stripe.routes(self._answering),
            *self._paypal.routes(self._answering),
        ]

    def _answering(self, act: Act) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = await act(request)
            except ValidationError as error:
                details = error.errors(include_url=False, include_input=False, include_context=False)
                return respond(Reply.json(400, {"error": "invalid", "details": details}))
            except StripeError as error:
                return respond(Reply.json(error.status, {"error": error.error}))
            except PayPalError as error:
                return respond(Reply.json(error.status, error.body()))
            self._store.flush()
            return respond(Reply.json(200, body))

        return handle

    async def _health(self, _request: web.Request) -> Json:
        return {"status": "ok", "undelivered_webhooks": self._webhooks.undelivered()}

    async def _report(self, request: web.Request) -> Json:
        return self._books.report(request.query.get("account"))

    async def _add_fault(self, request: web.Request) -> Json:
        fault = self._faults.add(Rule.model_validate_json(await request.read()))
        return {"id": fault.id, **fault.rule.model_dump(mode="json")}

    async def _list_faults(self, _request: web.Request) -> Json:
        return {"faults": self._faults.report()}

    async def _clear_faults(self, _request: web.Request) -> Json:
        self._faults.clear()
        return {"faults": []}

    async def _register(self, request: web.Request) -> Json:
        wish = NewAccount.model_validate_json(await request.read())
        stripe = wish.processor is Processor.STRIPE
        account = Account(
            account="",
            id=wish.id or f"{'acct' if stripe else 'paypal'}_{secrets.token_hex(8)}",
            processor=wish.processor,
            key=(wish.api_key if stripe else wish.client_id) or (f"sk_test_{secrets.token_hex(12)}"),
            secret="" if stripe else wish.client_secret or secrets.token_hex(16),
            platform=wish.platform,
        )
        if wish.webhook_url:
            endpoint = Endpoint(
                id=wish.webhook_id or f"{'we_' if stripe else 'WH-'}{secrets.token_hex(8)}",
                url=wish.webhook_url,
                secret=(wish.webhook_secret or f"whsec_{secrets.token_hex(16)}") if stripe else "",
                events=wish.events,
            )
            account.endpoints = [endpoint]
        return _describe(self._accounts.register(account))

    async def _forget(self, request: web.Request) -> Json:
        account = self._accounts.get(request.match_info["id"])
        if account is not None:
            self._store.forget(account.id)
            self._webhooks.forget(account.id)
            self._accounts.remove(account)
        return {"id": request.match_info["id"], "forgotten": account is not None}

    async def _list_webhooks(self, request: web.Request) -> Json:
        delivered = self._webhooks.delivered(request.query.get("account", ""))
        return {"undelivered": self._webhooks.undelivered(), "delivered": sorted(delivered)}


def _describe(account: Account) -> Json:
    stripe = account.processor is Processor.STRIPE
    keys = {"api_key": account.key} if stripe else {"client_id": account.key, "client_secret": account.secret}
    hooks = [
        {"webhook_url": hook.url, **({"webhook_secret": hook.secret} if stripe else {"webhook_id": hook.id})}
        for hook in account.endpoints
    ]
    return {"id": account.id, "processor": account.processor, **keys, **(hooks[0] if hooks else {})}
