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
from sandbox.paypal import payments as paypal_payments
from sandbox.paypal.approval import ApprovalPage
from sandbox.paypal.context import Context as PayPalContext
from sandbox.paypal.oauth import OAuth
from sandbox.paypal.records import PayPalBooks
from sandbox.paypal.request_ids import RequestIds
from sandbox.paypal.routes import PayPalRoutes
from sandbox.paypal.signing import Authority, Signer
from sandbox.store import Store
from sandbox.stripe import charging, disputes, refunds, signing, warnings
from sandbox.stripe.authentication import AuthenticationPage
from sandbox.stripe.context import Context as StripeContext
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
    stripe = StripeContext(
        StripeBooks(store), accounts, webhooks, agenda, faults, config.public_url, config.later_s, config.search_lag_s
    )
    paypal = PayPalContext(PayPalBooks(store), accounts, webhooks, agenda, faults, config.public_url, config.later_s)
    for part in (charging, refunds, disputes, warnings):
        part.register(stripe)
    paypal_payments.register(paypal)
    authority = Authority(store)
    if config.paypal_ca_file:
        authority.write(config.paypal_ca_file)
    signer = Signer(authority, config.public_url)
    webhooks.sign_with(Processor.STRIPE, signing.sign)
    webhooks.sign_with(Processor.PAYPAL, signer.sign)
    _register_demo_accounts(accounts, config)
    store.flush()

    books = BooksReport(accounts, stripe.books, paypal.books)
    oauth = OAuth(accounts, exchange, config.paypal_token_s)
    app = web.Application()
    for face in (
        Admin(store, accounts, faults, webhooks, stripe, paypal, books),
        AuthenticationPage(stripe, store),
        ApprovalPage(paypal, store),
        oauth,
        PayPalRoutes(paypal, exchange, oauth, RequestIds(paypal), signer, authority.pem),
        # Last, since it answers for all the rest of /v1.
        StripeRoutes(stripe, exchange, Idempotency(stripe, store.salt)),
    ):
        app.add_routes(face.routes())

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
    paypal = Account("", "paypal_sandbox", Processor.PAYPAL, config.paypal_client_id, config.paypal_client_secret)
    if config.webhook_url:
        url = f"{config.webhook_url.rstrip('/')}/v1/webhooks/paypal"
        paypal.endpoints = [Endpoint(config.paypal_webhook_id, url)]
    accounts.register(paypal)
