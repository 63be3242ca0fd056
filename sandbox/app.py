"""Puts a sandbox together: the one place that names its parts. `serve` and the tests build it."""

from collections.abc import AsyncIterator

from aiohttp import web

from sandbox.accounts import Account, Accounts, Endpoint, Processor
from sandbox.admin import Admin
from sandbox.agenda import Agenda
from sandbox.books import BooksReport
from sandbox.config import STRIPE_EVENTS, Config
from sandbox.exchange import Exchange
from sandbox.faults import Faults
from sandbox.store import Store
from sandbox.stripe import charging, disputes, refunds, signing
from sandbox.stripe.authentication import AuthenticationPage
from sandbox.stripe.context import Context
from sandbox.stripe.idempotency import Idempotency
from sandbox.stripe.records import StripeBooks
from sandbox.stripe.routes import StripeRoutes
from sandbox.webhooks import Webhooks


def build(config: Config) -> web.Application:
    """Builds the application; its clean-up writes the state file and ends all tasks."""
    store = Store(config.state)
    accounts, faults, agenda = Accounts(store), Faults(), Agenda(store)
    exchange = Exchange(faults, store)
    webhooks = Webhooks(store, accounts, faults, config.retry_s, config.longest_retry_s)
    stripe = Context(StripeBooks(store), accounts, webhooks, agenda, config.public_url, config.later_s)
    for part in (charging, refunds, disputes):
        part.register(stripe)
    webhooks.sign_with(Processor.STRIPE, signing.sign)
    _register_demo_accounts(accounts, config)
    books = BooksReport(accounts, stripe.books)

    app = web.Application()
    app.add_routes(Admin(store, accounts, faults, webhooks, stripe, books).routes())
    app.add_routes(AuthenticationPage(stripe, store).routes())
    app.add_routes(StripeRoutes(stripe, exchange, Idempotency(stripe, store.salt)).routes())

    async def run(_app: web.Application) -> AsyncIterator[None]:
        agenda.start()
        webhooks.start()
        yield
        agenda.stop()
        await webhooks.stop()
        store.close()

    app.cleanup_ctx.append(run)
    return app


def _register_demo_accounts(accounts: Accounts, config: Config) -> None:
    stripe = Account("", "acct_sandbox", Processor.STRIPE, config.stripe_key)
    if config.webhook_url:
        url = f"{config.webhook_url.rstrip('/')}/v1/webhooks/stripe"
        stripe.endpoints = [Endpoint("we_sandbox", url, config.stripe_webhook_secret, list(STRIPE_EVENTS))]
    accounts.register(stripe)
